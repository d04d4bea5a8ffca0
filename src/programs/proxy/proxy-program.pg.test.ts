import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import { eventually, SECRETS, type TestServer } from '#adapters/postgres/testing/test-server.ts';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';

// `matriarch proxy` as a process, in front of plain servers: its start, its signals, its end.

const BIN = fileURLToPath(new URL('../../../bin/matriarch', import.meta.url));
let servers: TestServers;
let n1: TestServer;
let n2: TestServer;
let config: string;
const children: ChildProcess[] = [];
const clients: pg.Client[] = [];

beforeAll(async () => {
  servers = await TestServers.open();
  n1 = await servers.primary('n1');
  [n2] = (await servers.standbys(n1, ['n2'])) as [TestServer];
  await n1.sql("CREATE ROLE app LOGIN PASSWORD 'app-secret'");
  config = join(servers.folder, 'proxy.yaml');
  writeFileSync(join(servers.folder, 'password'), SECRETS.superuser.password, { mode: 0o600 });
  writeFileSync(join(servers.folder, 'ca.crt'), n1.options.tls.ca);
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})));
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
});
afterAll(() => servers.end());

function write(more = ''): string {
  const { folder } = servers;
  const addresses = [n1, n2].map(({ options }) => `"127.0.0.1:${options.port}"`).join(', ');
  writeFileSync(
    config,
    `listen: { port: 0 }
source:
  kind: servers
  servers: [${addresses}]
  user: ${SECRETS.superuser.name}
  passwordFile: ${folder}/password
  tls: { mode: verify-ca, caFile: ${folder}/ca.crt }
  askEveryMs: 20
${more}`,
  );
  return config;
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly log: () => string;
  readonly ended: Promise<number | null>;
}

async function start(more?: string): Promise<Running> {
  const child = spawn(BIN, ['proxy', '--config', write(more)], { stdio: ['ignore', 'ignore', 'pipe'] });
  children.push(child);
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  let port = 0;
  await eventually(() => {
    port = Number(/clients are served at 127\.0\.0\.1:(\d+)/.exec(text)?.[1] ?? 0);
    expect(port, text).toBeGreaterThan(0);
  });
  return { child, port, log: () => text, ended };
}

async function connect({ port }: Running): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'app', password: 'app-secret', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  clients.push(client);
  return client;
}

test('it serves at once, and SIGTERM lets an open transaction end', async () => {
  const proxy = await start();
  const [idle, busy] = [await connect(proxy), await connect(proxy)];
  const told = once(idle, 'error').then(([error]) => (error as { code?: string }).code);
  await busy.query('BEGIN');
  proxy.child.kill('SIGTERM');
  expect(await told).toBe('57P01');
  await expect(connect(proxy)).rejects.toThrow();
  expect((await busy.query('SELECT pg_is_in_recovery() AS standby')).rows).toEqual([{ standby: false }]);
  await busy.query('COMMIT');
  expect(await proxy.ended).toBe(0);
  expect(proxy.log()).not.toContain('secret');
});

test.each([
  ['a second SIGTERM', ['SIGTERM', 'SIGTERM'], 0],
  ['SIGINT', ['SIGINT'], 130],
] as const)('%s ends it at once', async (_, signals, code) => {
  const proxy = await start();
  const busy = await connect(proxy);
  await busy.query('BEGIN');
  for (const signal of signals) {
    proxy.child.kill(signal);
    if (signal === 'SIGTERM') await eventually(() => expect(proxy.log()).toContain('clients go when their transactions end'));
  }
  expect(await proxy.ended).toBe(code);
});

test('SIGHUP: what is invalid changes nothing, with its place; what takes a start is said', async () => {
  const proxy = await start();
  const client = await connect(proxy);
  write('limits: { clientsPerRole: none }\n');
  proxy.child.kill('SIGHUP');
  await eventually(() => expect(proxy.log()).toMatch(/nothing was changed: [^"]*proxy.yaml, line 9: limits.clientsPerRole: /));
  write('limits: { clientsPerRole: 1 }\nmetrics: { port: 1 }\n');
  proxy.child.kill('SIGHUP');
  await eventually(() => expect(proxy.log()).toContain('the configuration is in force'));
  expect(proxy.log()).toContain('metrics: in force after the proxy has been started again');
  await expect(connect(proxy)).rejects.toMatchObject({ code: '53300' });
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('a session goes on at the server that was promoted', async () => {
  const proxy = await start();
  const client = await connect(proxy);
  await client.query("SET application_name = 'mine'");
  // What a SET has done is read back behind its answer, and ahead of this one.
  await client.query('SELECT');
  for (const { pid } of n1.processes()) process.kill(pid, 'SIGKILL');
  await eventually(() => expect(proxy.log()).toContain('no server takes writes'));
  const held = client.query("SELECT current_setting('application_name') AS name, pg_is_in_recovery() AS standby");
  await n2.sql('SELECT pg_promote()');
  expect((await held).rows).toEqual([{ name: 'mine', standby: false }]);
});

test('a start that cannot succeed says why, by its exit code too', async () => {
  const refused = await runMatriarch(['proxy', '--config', write('limits: { client: 1 }\n')]);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean clients?') });
  const taken = await runMatriarch(['proxy', '--config', write(), '--listen', `127.0.0.1:${n2.options.port}`]);
  expect(taken).toMatchObject({ code: 4, stderr: expect.stringContaining('port.taken') });
  const exposed = join(servers.folder, 'open');
  writeFileSync(exposed, 'x', { mode: 0o644 });
  const open = await runMatriarch(['proxy', '--config', write(), '--password-file', exposed]);
  expect(open).toMatchObject({ code: 2, stderr: expect.stringContaining('config.exposed') });
});
