import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from './testing/test-cluster.ts';
import type { TestServer } from './testing/test-server.ts';

let servers: TestServers;
let n1: TestServer;
beforeAll(async () => {
  servers = await TestServers.open();
  n1 = await servers.primary('n1');
  await n1.sql("CREATE ROLE staff; CREATE ROLE app LOGIN PASSWORD 'p' IN ROLE staff; CREATE ROLE other LOGIN PASSWORD 'p'");
});
afterAll(() => servers.end());

/** As a client comes: over TCP with TLS. */
const comeIn = (name: string) => n1.connect({ name, password: 'p' }, { host: n1.options.host, ssl: { ca: n1.options.tls.ca } });

async function getsIn(name: string): Promise<boolean> {
  const client = await comeIn(name).catch((error: Error) => {
    if (/pg_hba.conf rejects/.test(error.message)) return undefined;
    throw error;
  });
  await client?.end();
  return client !== undefined;
}

test('every kind of line that is taken is one that PostgreSQL reads', async () => {
  const hba = [];
  for (const type of ['local', 'host', 'hostssl', 'hostnossl'])
    for (const address of type === 'local'
      ? ['']
      : ['all', 'samehost', 'samenet', '10.0.0.0/8', 'fd00::/8', '.example.com', 'a.example'])
      for (const method of type === 'hostssl' ? ['scram-sha-256', 'reject', 'cert'] : ['scram-sha-256', 'reject'])
        hba.push(`${type} one,sameuser,samerole,a-b.c$ +staff,nobody ${address} ${method}`);
  await n1.server.useAccess(hba);
  const rules = await n1.sql('SELECT type, error FROM pg_hba_file_rules');
  expect(rules.filter(({ error }) => error !== null)).toEqual([]);
  expect(rules.length).toBeGreaterThan(hba.length);
});

test('a line is in force when it is declared, without a restart, and gone when it is declared no more', async () => {
  await n1.server.useAccess(['hostssl all +staff all reject']);
  expect([await getsIn('app'), await getsIn('other')]).toEqual([false, true]);
  await n1.server.useAccess([]);
  expect(await getsIn('app')).toBe(true);
});

test('a closed gate lets nobody in, whatever is declared', async () => {
  await n1.server.run({ kind: 'gate', open: false, cut: false }, 'n1_1', () => {});
  await n1.server.useAccess(['hostssl all app all scram-sha-256']);
  await expect(comeIn('app')).rejects.toThrow('no pg_hba.conf entry');
  await n1.server.run({ kind: 'gate', open: true, cut: false }, 'n1_1', () => {});
  expect(await getsIn('app')).toBe(true);
});
