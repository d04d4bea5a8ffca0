import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { NumberedWriter } from '../support/numbered-writer.ts';
import { ByHandCluster } from './support/by-hand-cluster.ts';
import { NodeShell } from './support/node-shell.ts';

const ENOUGH_ROWS = 30;
const RESUME_MS = 60_000;

/** Longer than every lease and every time to live. */
const WITHOUT_API_SECONDS = 120;

let cluster: ByHandCluster;
let node: NodeShell;
beforeAll(async () => {
  cluster = await ByHandCluster.create();
  node = await NodeShell.open(cluster);
});
afterAll(() => cluster?.destroy());

/**
 * Two clients write while it happens, one through the proxies and one at `NAME-primary`; then everything heals, and whatever was
 * acknowledged is there. Gives the client of the proxies.
 */
async function during(context: TestContext, fault: (primary: string) => Promise<unknown>): Promise<NumberedWriter> {
  const primary = await cluster.primary();
  const series = `${context.task.name} ${Math.random()}`;
  const writer = cluster.writer(`${series} proxy`);
  const direct = cluster.directWriter(`${series} primary`);
  const both = (count: number) => Promise.all([writer, direct].map((one) => one.advance(count, RESUME_MS)));
  writer.start();
  direct.start();
  try {
    await both(ENOUGH_ROWS);
    const since = performance.now();
    await fault(primary);
    await both(ENOUGH_ROWS);
    await cluster.healed();
    await both(ENOUGH_ROWS);
    const [proxied, straight] = [writer, direct].map((one) => `${(one.longestGapMs(since) / 1000).toFixed(1)} s`);
    await context.annotate(`longest pause ${proxied} through the proxies, ${straight} at ${cluster.name}-primary`);
  } finally {
    await Promise.all([writer.stop(), direct.stop()]);
  }
  expect(await cluster.missing(writer)).toEqual([]);
  expect(await cluster.missing(direct)).toEqual([]);
  return writer;
}

function standbyOf(primary: string): string {
  return [0, 1, 2].map((ordinal) => `${cluster.name}-${ordinal}`).find((name) => name !== primary) ?? '';
}

const kill = (member: string, pattern: string) => cluster.exec(member, 'sh', '-c', `kill -9 $(pgrep -o -f '${pattern}')`);

describe('A cluster on Kubernetes, without an operator', () => {
  test('has a primary and standbys that stream, each behind its Service and under its own name', async () => {
    expect(await cluster.query('select from pg_stat_replication')).toHaveLength(2);
    const primary = await cluster.primary();
    const ask = (host: string, sql: string) => cluster.psql(standbyOf(primary), sql, host);
    const recovering = async (host: string) => (await ask(host, 'select pg_is_in_recovery()')) === 't\n';
    expect(await recovering('db')).toBe(false);
    expect(await recovering('db-primary')).toBe(false);
    expect(await recovering('db-replica')).toBe(true);
    for (const name of ['db-0', 'db-1', 'db-2']) expect(await recovering(`${name}.db-pods`)).toBe(name !== primary);
    await expect(ask('db-replica', 'create table t ()')).rejects.toThrow('read-only transaction');
  });

  test('loses no statement when the pod of the primary is deleted', async (context) => {
    const writer = await during(context, (primary) => cluster.kubectl('delete', 'pod', primary, '--wait=false'));
    expect(writer.errors).toEqual([]);
  });

  test('loses no statement when the pod of the primary is evicted', async (context) => {
    const writer = await during(context, (primary) => cluster.evict(primary));
    expect(writer.errors).toEqual([]);
  });

  test('loses nothing when the server of the primary is killed', async (context) => {
    await during(context, (primary) => kill(primary, 'bin/postgres -D'));
  });

  test('goes on when the agent of the primary is killed', async (context) => {
    const writer = await during(context, (primary) => kill(primary, '[a]gent/main|[a]gent-main'));
    expect(writer.errors).toEqual([]);
  });

  test('loses nothing when the container of the primary is killed', async (context) => {
    await during(context, (primary) => kill(primary, '[p]od-main'));
  });

  test('loses nothing when two pods vanish at once, the primary among them', async (context) => {
    await during(context, (primary) =>
      cluster.kubectl('delete', 'pod', primary, standbyOf(primary), '--grace-period=0', '--force'),
    );
  });

  test('loses nothing when the container of the primary is frozen, and takes it back when it thaws', async (context) => {
    await during(context, async (primary) => {
      await node.signal(primary, 'STOP');
      try {
        await cluster.ledByAnother(primary);
      } finally {
        await node.signal(primary, 'CONT');
      }
    });
  });

  test('goes on while no member reaches the API server, for longer than any lease', async (context) => {
    const epoch = async () => (await cluster.statusOf('db-0'))?.epoch;
    const before = await epoch();
    const writer = await during(context, () => node.silenceApiServer(WITHOUT_API_SECONDS));
    expect(writer.errors).toEqual([]);
    expect(await epoch()).toBe(before);
  });

  test('heals a member that ended while the API server refuses its members everything', async (context) => {
    const binding = await cluster.kubectl('get', 'rolebinding', cluster.name, '-o', 'json');
    const writer = await during(context, async (primary) => {
      await cluster.kubectl('delete', 'rolebinding', cluster.name);
      await kill(standbyOf(primary), '[p]od-main');
      await cluster.restore(binding);
    });
    expect(writer.errors).toEqual([]);
  });

  test('is scaled by hand, down to where the primary is, and up again', async (context) => {
    await during(context, async () => {
      await cluster.switchTo('db-2');
      cluster.instances = 2;
      await cluster.kubectl('scale', 'statefulset', cluster.name, '--replicas=2');
      await cluster.ledByAnother('db-2');
      cluster.instances = 3;
      await cluster.kubectl('scale', 'statefulset', cluster.name, '--replicas=3');
    });
  });

  test('comes back by itself when every pod was gone', async (context) => {
    const everyPod = ['pods', '--selector', `matriarch.dev/cluster=${cluster.name}`];
    await during(context, () => cluster.kubectl('delete', ...everyPod, '--wait=false', '--grace-period=0', '--force'));
  });

  test('puts into force what the ConfigMap and the Secret of the superuser say', async () => {
    await cluster.declare({ postgresql: { parameters: { work_mem: '7MB' } } });
    await cluster.until('the servers have the parameter', async () => {
      const [row] = await cluster.query<{ work_mem: string }>('show work_mem');
      return row?.work_mem === '7MB' ? true : undefined;
    });
    await cluster.setPassword('another-password');
    await cluster.until('the superuser has the new password', async () => {
      await cluster.query('select 1');
      return true;
    });
  });
});
