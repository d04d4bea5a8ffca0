import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresSecrets } from './postgres-options.ts';
import { streams, TestServers } from './testing/test-cluster.ts';
import { eventually, SECRETS, type TestServer } from './testing/test-server.ts';

let servers: TestServers;
let primary: TestServer;
let standby: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
  [standby] = (await servers.standbys(primary, ['n2'])) as [TestServer];
});
afterAll(() => servers.end());

/** As whoever rotates them does: every member hears of it, the primary puts them into force. */
async function rotate(secrets: PostgresSecrets): Promise<readonly string[]> {
  await Promise.all([primary, standby].map(({ server }) => server.useSecrets(secrets)));
  return primary.server.putPasswords();
}

test('passwords that are as they should be are not written again', async () => {
  expect(await primary.server.putPasswords()).toEqual([]);
});

test('new passwords of the superuser and of replication are in force without a restart, and standbys come back with them', async () => {
  const superuser = { ...SECRETS.superuser, password: 'pässword of another kind' };
  const replication = { ...SECRETS.replication, password: 'another' };
  expect(await rotate({ ...SECRETS, superuser, replication })).toEqual([superuser.name, replication.name]);
  const client = await primary.connect(superuser);
  await client.end();
  await expect(primary.connect(SECRETS.superuser)).rejects.toThrow('password authentication failed');
  await primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'");
  await streams(standby);
  await primary.caughtUp(standby);
});

test('so is a new one of the agents, and neither who has heard of it nor who has not is shut out', async () => {
  const agent = { ...SECRETS.agent, password: 'of the agents' };
  await primary.server.useSecrets({ ...SECRETS, agent });
  expect(await primary.server.putPasswords()).toContain(agent.name);
  const verifier = `SELECT rolpassword FROM pg_authid WHERE rolname = '${agent.name}'`;
  await eventually(async () => expect(await standby.value(verifier)).toBe(await primary.value(verifier)));
  for (const server of [primary, standby]) {
    await server.restartAgent();
    expect(await server.server.pendingRestart()).toEqual([]);
  }
  await primary.seen('primary');
  await standby.seen('standby');
  await primary.do({ kind: 'gate', open: true, cut: false });
  expect(await primary.server.lookup('postgres', 'postgres')).toMatchObject({ superuser: true });
});

test('a server that runs on from an agent that logged in by its password lets in one that has another', async () => {
  const old = await servers.primary('old', { socketUsers: [] });
  expect(readFileSync(old.layout.accessFile, 'utf8')).not.toContain('peer');
  await old.server.close();
  const secrets = { ...SECRETS, agent: { ...SECRETS.agent, password: 'another one' } };
  const { socketUsers } = primary.options;
  const next = await servers.add('old', { ...old.options, secrets, ...(socketUsers === undefined ? {} : { socketUsers }) });
  expect(await next.observe()).toMatchObject({ state: 'stuck' });
  await next.server.useAccess([]);
  await next.seen('primary');
  expect(await next.server.putPasswords()).toEqual([SECRETS.agent.name]);
});

test('a standby refuses to change them', async () => {
  await standby.server.useSecrets({ ...SECRETS, superuser: { ...SECRETS.superuser, password: 'third' } });
  await expect(standby.server.putPasswords()).rejects.toThrow('read-only transaction');
});
