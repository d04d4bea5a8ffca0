import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import { eventually, SECRETS, type TestServer } from '#adapters/postgres/testing/test-server.ts';
import { kill } from '#adapters/process/processes.ts';
import { proxyFileSchema } from '#domain/config/proxy-config.ts';
import type { TopologyView } from '#domain/ports/topology.ts';
import { openPlainServers, type PlainSource } from './open-plain-servers.ts';

let servers: TestServers;
let n1: TestServer;
let n2: TestServer;
let n3: TestServer;
let plain: Awaited<ReturnType<typeof openPlainServers>>;
const views: TopologyView[] = [];
const said: string[] = [];
const say = (text: string) => void said.push(text);
const log = { info: say, warn: say, error: say };

const nameOf = (server: TestServer) => `127.0.0.1:${server.options.port}`;
const primaryNow = () => plain.topology.view.primary?.name;

function sourceFor(user: string, password: string): PlainSource {
  const passwordFile = join(servers.folder, `${user}.password`);
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  const caFile = join(servers.folder, 'ca.crt');
  writeFileSync(caFile, n1.options.tls.ca);
  const tls = { mode: 'verify-ca', caFile };
  const source = { kind: 'servers', servers: [n1, n2, n3].map(nameOf), user, passwordFile, tls, askEveryMs: 20 };
  return proxyFileSchema.parse({ source }).source as PlainSource;
}

beforeAll(async () => {
  servers = await TestServers.open();
  chmodSync(servers.folder, 0o755);
  n1 = await servers.primary('n1');
  [n2, n3] = (await servers.standbys(n1, ['n2', 'n3'])) as [TestServer, TestServer];
  await n1.sql("CREATE ROLE app LOGIN PASSWORD 'app-secret' CONNECTION LIMIT 7 VALID UNTIL '2040-01-01 00:00:00Z'");
  await n1.sql('CREATE DATABASE shop');
  await n1.sql('REVOKE CONNECT ON DATABASE shop FROM PUBLIC');
  plain = await openPlainServers(sourceFor(SECRETS.superuser.name, SECRETS.superuser.password), log);
  plain.topology.subscribe((view) => void views.push(view));
});
afterAll(async () => {
  await plain?.topology.close();
  await servers.end();
});

test('the primary is known when it has opened, in epoch 1, beside every server', () => {
  const { view } = plain.topology;
  expect(view).toMatchObject({
    epoch: 1,
    holding: false,
    primary: { name: nameOf(n1), host: '127.0.0.1', port: n1.options.port },
  });
  expect(view.servers.map(({ name }) => name)).toEqual([n1, n2, n3].map(nameOf));
});

test('what the servers know of a role and a database', async () => {
  const fresh = { fresh: true };
  const facts = await plain.roles.lookup('app', 'shop', fresh);
  expect(facts).toMatchObject({
    role: 'app',
    canLogin: true,
    superuser: false,
    replication: false,
    verifier: expect.stringMatching(/^SCRAM-SHA-256\$/),
    validUntilMs: Date.UTC(2040, 0, 1),
    connectionLimit: 7,
    database: { name: 'shop', allowsConnections: true, connectionLimit: -1, mayConnect: false },
    byCertificate: false,
  });
  expect(await plain.roles.lookup('app', 'shop', fresh)).toEqual(facts);
  expect(await plain.roles.lookup('nobody', 'shop', fresh)).toBeNull();
  expect(await plain.roles.lookup('app', 'nowhere', fresh)).toMatchObject({ database: null });
  expect(await plain.roles.lookup(`x'; DROP ROLE app; --`, '\0', fresh)).toBeNull();
  const digests = [facts?.digest];
  for (const change of [
    "ALTER ROLE app SET work_mem = '5MB'",
    "ALTER DATABASE shop SET work_mem = '6MB'",
    "ALTER ROLE app IN DATABASE shop SET work_mem = '7MB'",
    "ALTER ROLE ALL SET work_mem = '8MB'",
    'ALTER ROLE app CONNECTION LIMIT 8',
    "ALTER ROLE app VALID UNTIL 'infinity'",
  ]) {
    await n1.sql(change);
    digests.push((await plain.roles.lookup('app', 'shop', fresh))?.digest);
  }
  expect(new Set(digests).size).toBe(digests.length);
  expect(await plain.roles.lookup('app', 'shop', { fresh: false })).toMatchObject({ validUntilMs: null });
});

test('ten thousand clients that come at once are one question', async () => {
  const statements = async () =>
    Number(await n1.value("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'shop'"));
  const before = await statements();
  const answers = await Promise.all(
    Array.from({ length: 10_000 }, () => plain.roles.lookup('app', 'postgres', { fresh: false })),
  );
  expect(new Set(answers).size).toBe(1);
  expect((await statements()) - before).toBeLessThan(10);
});

test('a role that may not read pg_authid is told what to grant, and then can', async () => {
  await n1.sql("CREATE ROLE watcher LOGIN PASSWORD 'watcher-secret'");
  await n1.caughtUp(n2);
  await n1.caughtUp(n3);
  await expect(openPlainServers(sourceFor('watcher', 'watcher-secret'), log)).rejects.toMatchObject({
    code: 'proxy.rolesUnreadable',
  });
  await n1.sql('GRANT SELECT ON pg_catalog.pg_authid TO watcher');
  await expect(openPlainServers(sourceFor('watcher', 'wrong'), log)).rejects.toMatchObject({ code: 'proxy.serversUnreachable' });
  const watcher = await openPlainServers(sourceFor('watcher', 'watcher-secret'), log);
  expect(await watcher.roles.lookup('app', 'shop', { fresh: true })).toMatchObject({ canLogin: true });
  await watcher.topology.close();
  expect(said.join()).not.toContain('secret');
});

test('a connection that a person ends changes nothing', async () => {
  const ended = await n1.value(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'matriarch proxy'",
  );
  expect(ended).toBe('1');
  await eventually(async () =>
    expect(
      await n1.value(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'matriarch proxy' AND query LIKE '%pg_is_in_recovery%'",
      ),
    ).toBe('1'),
  );
  expect(views).toEqual([]);
});

test('a frozen primary stays the primary; roles are asked of a standby', async () => {
  const frozen = n1.processes();
  for (const { pid } of frozen) kill(pid, 'SIGSTOP');
  try {
    await eventually(async () => {
      expect(await plain.roles.lookup('app', 'template1', { fresh: true })).toMatchObject({ role: 'app' });
    });
    expect(views).toEqual([]);
  } finally {
    for (const { pid } of frozen) kill(pid, 'SIGCONT');
  }
});

test('a killed primary is none, and the same one when it is back', async () => {
  for (const { pid } of n1.processes()) kill(pid, 'SIGKILL');
  await eventually(() => expect(views.at(-1)).toMatchObject({ epoch: 1, primary: null }));
  await n1.startByHand();
  await eventually(() => expect(primaryNow()).toBe(nameOf(n1)));
  expect(plain.topology.view.epoch).toBe(1);
});

test('a promoted standby is the primary, although the old one still takes writes', async () => {
  await n2.sql('SELECT pg_promote()');
  await eventually(() => expect(plain.topology.view).toMatchObject({ epoch: 2, primary: { name: nameOf(n2) } }));
});

test('a second one of the same timeline changes nothing, and is said loudly', async () => {
  await n3.sql('SELECT pg_promote()');
  await eventually(() => expect(said.find((line) => line.includes('several servers take writes'))).toContain(nameOf(n3)));
  expect(plain.topology.view).toMatchObject({ epoch: 2, primary: { name: nameOf(n2) } });
  const count = views.length;
  for (const { pid } of n2.processes()) kill(pid, 'SIGKILL');
  await eventually(() => expect(plain.topology.view).toMatchObject({ epoch: 3, primary: { name: nameOf(n3) } }));
  expect(views.length).toBe(count + 1);
});

test('nobody answers: what was heard is remembered, and what was not is an error', async () => {
  for (const server of [n1, n3]) for (const { pid } of server.processes()) kill(pid, 'SIGKILL');
  await eventually(() => expect(primaryNow()).toBeUndefined());
  expect(await plain.roles.lookup('app', 'shop', { fresh: false })).toMatchObject({ role: 'app' });
  await expect(plain.roles.lookup('app', 'unheard', { fresh: false })).rejects.toMatchObject({ code: 'proxy.rolesUnknown' });
});
