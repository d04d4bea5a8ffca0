import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PostgresSecrets } from './postgres-options.ts';
import { streams, TestServers } from './testing/test-cluster.ts';
import { SECRETS, type TestServer } from './testing/test-server.ts';

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

test('a standby refuses to change them', async () => {
  await standby.server.useSecrets({ ...SECRETS, superuser: { ...SECRETS.superuser, password: 'third' } });
  await expect(standby.server.putPasswords()).rejects.toThrow('read-only transaction');
});
