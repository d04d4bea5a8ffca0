// pgbench through the proxy while the primary is moved from member to member.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runTool } from '#adapters/postgres/tool.ts';
import { POSTGRES_BIN } from '../support/plain-server.ts';
import { ProxyProcess } from '../support/proxy-process.ts';
import { TestCluster } from '../support/test-cluster.ts';

const SECONDS = 7;
/** Transactions a second, of all clients of one pgbench: the machine is to be busy with the switchovers. */
const READS_PER_S = 200;
const WRITES_PER_S = 60;
const SWITCHOVERS = 10;

let cluster: TestCluster;
let proxy: ProxyProcess;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-pgbench-'));
  cluster = await TestCluster.start();
  await cluster.sql("create role bench login password 'bench-secret'");
  await cluster.sql('create database bench owner bench');
  proxy = await ProxyProcess.ofAgents(cluster, { user: 'bench', password: 'bench-secret', database: 'bench' });
  await pgbench(['-i', '-q']);
});
afterAll(async () => {
  await proxy?.end();
  await cluster?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

async function pgbench(args: readonly string[]): Promise<string> {
  const { host, port, user, password, database } = proxy.login;
  const ran = await runTool({
    program: join(POSTGRES_BIN, 'pgbench'),
    args: [...args, '-h', host, '-p', String(port), '-U', user, database],
    owner: undefined,
    cwd: folder,
    env: { PGPASSWORD: password, PGSSLMODE: 'disable' },
    timeoutMs: 60_000,
  });
  if (ran.code !== 0) throw new Error(`pgbench ${args.join(' ')}: ${ran.stdout.slice(-500)}${ran.stderr.slice(-2000)}`);
  return ran.stdout + ran.stderr;
}

/** Switches over again and again until `done`; how often. */
async function switchOverUntil(done: Promise<unknown>): Promise<number> {
  let running = true;
  void done.finally(() => {
    running = false;
  });
  let count = 0;
  while (running) {
    await cluster.post(await cluster.healthy(), '/switchover');
    if (running) count += 1;
  }
  return count;
}

test('switchovers while pgbench runs in every mode: no transaction fails, no client is disconnected', async () => {
  const epoch = await cluster.epoch();
  let switchovers = 0;
  for (let round = 0; round < 9 && (round < 3 || switchovers < SWITCHOVERS); round++) {
    const mode = ['simple', 'extended', 'prepared'][round % 3] as string;
    const common = ['-n', '-c', '20', '-j', '2', '-M', mode, '-T', String(SECONDS)];
    const runs = Promise.all([
      pgbench([...common, '-S', '-R', String(READS_PER_S)]),
      pgbench([...common, '-R', String(WRITES_PER_S)]),
    ]);
    runs.catch(() => {});
    switchovers += await switchOverUntil(runs);
    for (const said of await runs) {
      expect(said).toContain('number of failed transactions: 0 (0.000%)');
      expect(said).not.toMatch(/abort|error/i);
    }
  }
  expect(switchovers).toBeGreaterThanOrEqual(SWITCHOVERS);
  expect(await cluster.epoch()).toBeGreaterThanOrEqual(epoch + SWITCHOVERS);
  // pgbench's own sums: what was acknowledged is there, once.
  const sums = 'select (select sum(abalance) from pgbench_accounts) - (select sum(delta) from pgbench_history) as difference';
  expect(await proxy.sql(sums)).toEqual([{ difference: '0' }]);
});
