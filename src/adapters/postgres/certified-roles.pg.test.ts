import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { type Authority, type CertificateWithKey, createAuthority, issueCertificate } from '../tls/authority.ts';
import { TestServers } from './testing/test-cluster.ts';
import { eventually, SECRETS, type TestServer } from './testing/test-server.ts';

// A proxy at a real server by its certificate: whom it gets in as, and the holes through which others would, each tried.

let servers: TestServers;
let n1: TestServer;
let proxies: Authority;
let ofProxy: CertificateWithKey;

beforeAll(async () => {
  servers = await TestServers.open();
  proxies = await createAuthority({ cluster: 'test', of: 'proxies' });
  ofProxy = await issueCertificate(proxies, { name: PROXY_LOGIN_NAME, clientOnly: true });
  n1 = await servers.primary('n1');
  await n1.server.useTls({ ...n1.options.tls, proxyCa: proxies.certificate });
  await n1.sql(`CREATE ROLE bare LOGIN; CREATE ROLE scram LOGIN PASSWORD 'p'; CREATE ROLE boss LOGIN SUPERUSER;
    CREATE ROLE streamer LOGIN REPLICATION; CREATE ROLE nologin; CREATE ROLE n1 LOGIN SUPERUSER;
    SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'p'`);
  await settled();
});
afterAll(() => servers.end());

/** Until the files say what the server does. */
async function settled(): Promise<void> {
  await eventually(async () => {
    await n1.observe();
    const [row] = await n1.sql(`SELECT array_agg(rolname::text ORDER BY rolname) AS names FROM pg_authid
      WHERE rolcanlogin AND NOT rolsuper AND NOT rolreplication AND coalesce(rolpassword, '') NOT LIKE 'SCRAM%'`);
    const names = row?.names as string[];
    for (const name of names) {
      const facts = await n1.server.lookup(name, 'postgres');
      expect(facts?.byCertificate, name).toBe(!n1.server.refusedRoles.includes(name));
    }
    expect(lines()).toHaveLength(names.length - n1.server.refusedRoles.length);
  });
}

const lines = () =>
  readFileSync(n1.layout.identFile, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('matriarch-proxy'));

/** Who the server takes the client for, or why not. */
async function login(user: string, shown: CertificateWithKey | undefined, change: pg.ClientConfig = {}): Promise<string> {
  const client = new pg.Client({
    host: n1.options.host,
    port: n1.options.port,
    user,
    database: 'postgres',
    ssl: { ca: n1.options.tls.ca, ...(shown === undefined ? {} : { cert: shown.certificate, key: shown.key }) },
    ...change,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return (await client.query('SELECT current_user AS name')).rows[0]?.name;
  } catch (error) {
    return `refused: ${(error as Error).message}`;
  } finally {
    await client.end().catch(() => {});
  }
}

test('gets in as each role that has no SCRAM verifier', async () => {
  expect(await login('bare', ofProxy)).toBe('bare');
  expect(await login('old', ofProxy)).toBe('old');
});

test.each(['scram', 'boss', 'streamer', 'nologin', 'n1', SECRETS.superuser.name, SECRETS.agent.name, SECRETS.replication.name])(
  'does not get in as %s',
  async (role) => {
    expect(await login(role, ofProxy)).toMatch(/^refused/);
    expect((await n1.server.lookup(role, 'postgres'))?.byCertificate ?? false).toBe(false);
  },
);

test('whoever has a SCRAM verifier logs in by his password as ever, with the certificate or without', async () => {
  expect(await login('scram', undefined, { password: 'p' })).toBe('scram');
  expect(await login('scram', ofProxy, { password: 'p' })).toBe('scram');
});

test('no certificate of the cluster gets in as anybody: of a member, of a proxy for the agents, of a role', async () => {
  const { tls } = n1.options;
  const byCluster = (name: string) => servers.issue(name);
  const shown = [
    { certificate: tls.certificate, key: tls.key },
    await byCluster('bare'),
    await byCluster('boss'),
    await byCluster(PROXY_NAME),
  ];
  for (const certificate of shown)
    for (const role of ['bare', 'old', 'boss', 'n1']) expect(await login(role, certificate)).toMatch(/^refused/);
});

test('no other certificate of the proxies gets in, and none of a stranger', async () => {
  for (const name of ['bare', 'matriarch-proxy', 'matriarch proxy ', 'Matriarch Proxy'])
    expect(await login('bare', await issueCertificate(proxies, { name, hosts: [] }))).toMatch(/^refused/);
  const stranger = await createAuthority({ cluster: 'test', of: 'proxies' });
  const forged = await issueCertificate(stranger, { name: PROXY_LOGIN_NAME, clientOnly: true });
  expect(await login('bare', forged)).toMatch(/^refused/);
  expect(await login('bare', undefined)).toMatch(/^refused/);
});

test('a change of a role is in force after a look', async () => {
  await n1.sql('CREATE ROLE fresh LOGIN');
  // Whoever asks first need not wait for the next look.
  expect((await n1.server.lookup('fresh', 'postgres'))?.byCertificate).toBe(true);
  expect(await login('fresh', ofProxy)).toBe('fresh');
  await n1.sql('ALTER ROLE fresh SUPERUSER; ALTER ROLE bare RENAME TO renamed');
  await settled();
  expect(await login('fresh', ofProxy)).toMatch(/^refused/);
  expect(await login('renamed', ofProxy)).toBe('renamed');
  await n1.sql(`ALTER ROLE fresh NOSUPERUSER; ALTER ROLE fresh PASSWORD 'p'; ALTER ROLE renamed RENAME TO bare`);
  await settled();
  expect(await login('fresh', ofProxy)).toMatch(/^refused/);
  expect(await login('fresh', undefined, { password: 'p' })).toBe('fresh');
});

test('names that mean something in the files are names there, and those that no file can express are refused', async () => {
  const hostile = ['x\nmatriarch-proxy n1 postgres', 'y\rz', 'tab\there', '/^.*$', '/', 'del\u007f', 'line\u2028end'];
  const odd = [
    'all',
    'replication',
    '+scram',
    '@file',
    'a"b',
    '"',
    '""',
    'c#d',
    'e,f',
    ' g ',
    'h\\',
    '\\1',
    'sameuser',
    'ä😀',
    "i'j",
    'x'.repeat(63),
  ];
  for (const name of [...hostile, ...odd]) await n1.sql(`CREATE ROLE ${pg.escapeIdentifier(name)} LOGIN`);
  await settled();
  expect([...n1.server.refusedRoles].sort()).toEqual(hostile.toSorted());
  expect(await n1.sql('SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL')).toEqual([]);
  expect(await n1.sql('SELECT error FROM pg_ident_file_mappings WHERE error IS NOT NULL')).toEqual([]);
  for (const name of odd) expect([name, await login(name, ofProxy)]).toEqual([name, name]);
  for (const name of hostile) expect(await login(name, ofProxy)).toMatch(/^refused/);
  const { tls } = n1.options;
  for (const role of ['postgres', 'n1', 'boss', 'scram', ...odd])
    expect(await login(role, { certificate: tls.certificate, key: tls.key })).toMatch(/^refused/);
  expect(await login('scram', undefined, { password: 'p' })).toBe('scram');
  expect(n1.logged.filter((line) => line.includes('can express the name')).length).toBeGreaterThanOrEqual(hostile.length);
});

test('VALID UNTIL does not stop a certificate, so the facts tell it', async () => {
  await n1.sql(`CREATE ROLE expired LOGIN VALID UNTIL '2001-01-01 00:00:00+00'`);
  await settled();
  expect(await login('expired', ofProxy)).toBe('expired');
  expect(await n1.server.lookup('expired', 'postgres')).toMatchObject({ validUntilMs: Date.UTC(2001, 0, 1) });
});

test('nobody gets in by certificate while the gate is closed, and the lines are back when it opens', async () => {
  await n1.do({ kind: 'gate', open: false, cut: false });
  expect(await login('bare', ofProxy)).toMatch(/^refused/);
  await n1.do({ kind: 'gate', open: true, cut: false });
  expect(await login('bare', ofProxy)).toBe('bare');
});

test('the lines outlive a restart of the server', async () => {
  await n1.do({ kind: 'stop', mode: 'fast' });
  await n1.do({ kind: 'startPrimary' });
  await n1.do({ kind: 'gate', open: true, cut: false });
  expect(await login('bare', ofProxy)).toBe('bare');
});

test('without an authority of proxies there are no lines', async () => {
  await n1.server.useTls(n1.options.tls);
  await eventually(async () => {
    await n1.observe();
    expect(lines()).toEqual([]);
  });
  expect(await login('bare', ofProxy)).toMatch(/^refused/);
  await eventually(async () => expect((await n1.server.lookup('bare', 'postgres'))?.byCertificate).toBe(false));
});
