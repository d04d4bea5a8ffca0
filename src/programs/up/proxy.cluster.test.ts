import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAlive, kill, startTimeOf } from '#adapters/process/processes.ts';
import type { ConnectionUrls } from '#domain/config/cluster-description.ts';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { type StatusDocument, statusDocumentSchema } from '#domain/status-document.ts';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { readHolder } from './supervisor-lock.ts';

// The proxy of one cluster through its whole life, by the command line alone. The tests build on each other.

let folder: string;
let dir: string;
const run = (...args: string[]) => runMatriarch([...args, '--dir', dir]);
const DEADLINE_MS = 60_000;
const open: pg.Client[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-proxied-'));
  chmodSync(folder, 0o755);
  dir = join(folder, 'c');
  const { stderr, code } = await runMatriarch(['up', '--detach', '--dir', dir]);
  if (code !== 0) throw new Error(stderr);
});
afterAll(async () => {
  await Promise.all(open.map((client) => client.end().catch(() => {})));
  if (existsSync(dir)) await run('down', '--purge');
  await rm(folder, { recursive: true });
});

async function status(): Promise<StatusDocument> {
  return statusDocumentSchema.parse(JSON.parse((await run('status', '-o', 'json')).stdout));
}

async function until<Value>(what: string, look: () => Promise<Value | undefined | false>): Promise<Value> {
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`in vain: ${what}: ${JSON.stringify(await status(), null, 1)}`);
    await sleep(100);
  }
}

const serving = (pidBefore?: number | null) =>
  until('a proxy that serves', async () => {
    const { proxy } = await status();
    return proxy?.state === 'serving' && proxy.pid !== pidBefore ? proxy : undefined;
  });

const urls = () => JSON.parse(readFileSync(clusterPaths(dir).connection, 'utf8')) as ConnectionUrls;

/** As applications come: by the URL, which `pg` reads as libpq does when it is told to. */
async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: `${urls().readWrite}&uselibpqcompat=true` });
  client.on('error', () => {});
  await client.connect();
  open.push(client);
  return client;
}

const log = () => readFileSync(clusterPaths(dir).proxyLog, 'utf8');

test('up ends when the proxy serves; one plain URL leads through it, another one around it', async () => {
  const { proxy, connection } = await status();
  expect(proxy).toMatchObject({ state: 'serving', clients: 0 });
  expect(connection).toEqual(urls());
  expect(connection.readWrite).toContain(`@127.0.0.1:${proxy?.port}/postgres?sslmode=verify-ca`);
  expect(connection.direct?.split(',').length).toBe(3);
  const client = await connect();
  await client.query('create table kept (id int)');
  expect((await client.query('select pg_is_in_recovery() as standby')).rows).toEqual([{ standby: false }]);
  expect((await status()).proxy).toMatchObject({ clients: 1 });
  expect((await run('status')).stdout).toContain(`proxy 127.0.0.1:${proxy?.port} · serving · 1 client`);
});

test('a session that uses what PostgreSQL keeps in a session goes on through a switchover', async () => {
  const client = await connect();
  await client.query("set application_name = 'mine'");
  expect((await run('switchover')).code).toBe(0);
  expect((await client.query("select current_setting('application_name') as name")).rows).toEqual([{ name: 'mine' }]);
  await client.query('insert into kept values (1)');
});

test('psql goes through it, and around it when it does not run', async () => {
  const psql = async () => (await runMatriarch(['psql', '--dir', dir, '--', '-XAtc', 'show in_hot_standby'])).stdout.trim();
  expect(await psql()).toBe('off');
  const { pid } = await serving();
  kill(pid ?? 0, 'SIGSTOP');
  try {
    expect(await psql()).toBe('off');
  } finally {
    kill(pid ?? 0, 'SIGCONT');
  }
});

test('one that is killed is started again', async () => {
  const { pid } = await serving();
  kill(pid ?? 0, 'SIGKILL');
  await serving(pid);
  expect((await (await connect()).query('select count(*)::int as n from kept')).rows).toEqual([{ n: 1 }]);
});

test('a supervisor that is killed leaves it running, and the next one adopts it', async () => {
  const { pid } = await serving();
  const client = await connect();
  const holder = readHolder(clusterPaths(dir).lockHolder);
  kill(holder?.pid ?? 0, 'SIGKILL');
  await until('the end of the supervisor', async () => !isAlive(holder?.pid ?? 0, holder?.startTime));
  expect(await run('up', '--detach')).toMatchObject({ code: 0, stderr: '' });
  expect((await serving()).pid).toBe(pid);
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('a changed file is followed; one that is invalid changes nothing and is named with its place', async () => {
  const { proxyConfig } = clusterPaths(dir);
  const before = readFileSync(proxyConfig, 'utf8');
  const { pid } = await serving();
  writeFileSync(proxyConfig, `${before}limits:\n  client: 1\n`);
  await until('the refusal', async () => log().includes('limits.client is no setting; did you mean clients?'));
  writeFileSync(proxyConfig, `${before}limits:\n  clients: 1\n`);
  kill(pid ?? 0, 'SIGHUP');
  for (const client of open.splice(0)) await client.end();
  await connect();
  await until('the limit', async () =>
    connect().then(
      (client) => client.end(),
      (error: { code?: string }) => error.code === '53300',
    ),
  );
  writeFileSync(proxyConfig, before);
  kill(pid ?? 0, 'SIGHUP');
  await until('no limit', async () => connect().catch(() => undefined));
});

test('the configuration of the cluster is followed, and the file wins over it', async () => {
  const count = () => log().split('the configuration of the cluster is in force').length;
  const before = count();
  expect((await run('config', 'set', 'proxy.limits.clients=1')).code).toBe(0);
  await until('the settings of the cluster', async () => count() > before);
  for (const client of open.splice(0)) await client.end();
  await connect();
  await expect(connect()).rejects.toMatchObject({ code: '53300' });
  expect((await run('config', 'set', 'proxy=')).code).toBe(0);
  await until('their end', async () => connect().catch(() => undefined));
  expect((await run('config', 'set', 'proxy.limits.client=1')).stderr).toContain('proxy.limits.client is no setting');
});

test('renewed certificates are shown to the next client, and those that are connected go on', async () => {
  const client = await connect();
  expect((await run('certificates', 'renew')).code).toBe(0);
  expect((await run('certificates', 'rotate')).code).toBe(0);
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  expect((await (await connect()).query('select 1 as one')).rows).toEqual([{ one: 1 }]);
});

test('metrics and health', async () => {
  const { metricsPort } = (JSON.parse(readFileSync(clusterPaths(dir).description, 'utf8')) as { proxy: { metricsPort: number } })
    .proxy;
  const get = (path: string) => fetch(`http://127.0.0.1:${metricsPort}${path}`);
  expect((await get('/health')).status).toBe(200);
  const text = await (await get('/metrics')).text();
  expect(text).toMatch(/^matriarch_proxy_transactions_total\{database="postgres",role="postgres"\} [1-9]/m);
  expect((await get('/')).status).toBe(404);
});

test('its log is shown and holds no secret', async () => {
  expect((await run('logs', 'proxy')).stdout).toMatch(/proxy +info clients are served at/);
  const secrets = JSON.parse(readFileSync(clusterPaths(dir).secrets, 'utf8')) as Record<string, { password?: string }>;
  for (const { password } of Object.values(secrets)) if (password !== undefined) expect(log()).not.toContain(password);
});

test('down: an idle client hears 57P01, an open transaction may still end, and nothing is left', async () => {
  const idle = await connect();
  const busy = await connect();
  const told = new Promise<string | undefined>((resolve) =>
    idle.on('error', (error) => resolve((error as { code?: string }).code)),
  );
  await busy.query('begin');
  await busy.query('insert into kept values (2)');
  const { pid } = await serving();
  const identity = { pid: pid ?? 0, startTime: startTimeOf(pid ?? 0) ?? 0 };
  const down = run('down');
  expect(await told).toBe('57P01');
  await busy.query('commit');
  expect(await down).toMatchObject({ code: 0 });
  expect(isAlive(identity.pid, identity.startTime)).toBe(false);
});

test('it comes back where it was, elsewhere when asked, or not at all; each is remembered', async () => {
  const before = urls();
  expect((await run('up', '--detach')).code).toBe(0);
  expect(urls()).toEqual(before);
  expect((await (await connect()).query('select count(*)::int as n from kept')).rows).toEqual([{ n: 2 }]);
  await run('down');
  const free = Number(/:(\d+)\/postgres\?sslmode/.exec(before.readWrite)?.[1]) + 17;
  expect((await run('up', '--detach', '--proxy-port', String(free))).code).toBe(0);
  expect(urls().readWrite).toContain(`:${free}/`);
  expect(urls().direct).toBe(before.direct);
  await connect();
  await run('down');
  expect((await run('up', '--detach', '--no-proxy')).code).toBe(0);
  expect(await status()).toMatchObject({ proxy: null, connection: { readWrite: before.direct } });
  expect((await run('logs', 'proxy')).stderr).toContain('member.unknown');
  await run('down');
});

test('a cluster of before there were proxies gets one', async () => {
  const { description, proxy } = clusterPaths(dir);
  const { proxy: _, ...older } = JSON.parse(readFileSync(description, 'utf8')) as Record<string, unknown>;
  writeFileSync(description, JSON.stringify(older));
  await rm(proxy, { recursive: true });
  expect((await run('up', '--detach')).code).toBe(0);
  await serving();
  expect((await (await connect()).query('select count(*)::int as n from kept')).rows).toEqual([{ n: 2 }]);
  expect(await run('down', '--purge')).toMatchObject({ code: 0 });
  expect(existsSync(dir)).toBe(false);
});
