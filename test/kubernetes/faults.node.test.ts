import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NumberedWriter } from '../support/numbered-writer.ts';
import { KubeCluster } from './support/kube-cluster.ts';

const ENOUGH_ROWS = 30;
const RESUME_MS = 60_000;

let cluster: KubeCluster;
beforeAll(async () => {
  cluster = await KubeCluster.create();
});
afterAll(() => cluster?.destroy());

/** A client writes through the proxies while it happens; then everything heals, and whatever was acknowledged is there. */
async function during(what: string, fault: (primary: string) => Promise<unknown>): Promise<NumberedWriter> {
  const primary = await cluster.primary();
  const writer = cluster.writer(`${what} ${Math.random()}`);
  writer.start();
  try {
    await writer.advance(ENOUGH_ROWS, RESUME_MS);
    await fault(primary);
    await writer.advance(ENOUGH_ROWS, RESUME_MS);
    await cluster.healed();
    await writer.advance(ENOUGH_ROWS, RESUME_MS);
  } finally {
    await writer.stop();
  }
  expect(await cluster.missing(writer)).toEqual([]);
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
    const ask = (host: string, sql: string) =>
      cluster.exec(
        standbyOf(primary),
        'sh',
        '-c',
        `PGUSER=$(cat /etc/matriarch/secrets/superuser/username) PGPASSWORD=$(cat /etc/matriarch/secrets/superuser/password) psql -h ${host} -d postgres -Atc "${sql}"`,
      );
    const recovering = async (host: string) => (await ask(host, 'select pg_is_in_recovery()')).trim() === 't';
    expect(await recovering('db')).toBe(false);
    expect(await recovering('db-primary')).toBe(false);
    expect(await recovering('db-replica')).toBe(true);
    for (const name of ['db-0', 'db-1', 'db-2']) expect(await recovering(`${name}.db-pods`)).toBe(name !== primary);
    await expect(ask('db-replica', 'create table t ()')).rejects.toThrow('read-only transaction');
  });

  test('loses no statement when the pod of the primary is deleted', async () => {
    const writer = await during('delete', (primary) => cluster.kubectl('delete', 'pod', primary, '--wait=false'));
    expect(writer.errors).toEqual([]);
  });

  test('loses no statement when the pod of the primary is evicted', async () => {
    const writer = await during('evict', (primary) => cluster.evict(primary));
    expect(writer.errors).toEqual([]);
  });

  test('loses nothing when the server of the primary is killed', async () => {
    await during('kill server', (primary) => kill(primary, 'bin/postgres -D'));
  });

  test('goes on when the agent of the primary is killed', async () => {
    const writer = await during('kill agent', (primary) => kill(primary, '[a]gent/main|[a]gent-main'));
    expect(writer.errors).toEqual([]);
  });

  test('loses nothing when the container of the primary is killed', async () => {
    await during('kill container', (primary) => kill(primary, '[p]od-main'));
  });

  test('loses nothing when two pods vanish at once, the primary among them', async () => {
    await during('two pods', (primary) =>
      cluster.kubectl('delete', 'pod', primary, standbyOf(primary), '--grace-period=0', '--force'),
    );
  });

  test('loses nothing when the container of the primary is frozen, and takes it back when it thaws', async () => {
    let frozen = '';
    await during('freeze', async (primary) => {
      frozen = primary;
      await cluster.exec(primary, 'sh', '-c', 'kill -STOP -1');
      await cluster.until('somebody else leads', async () => {
        const leader = (await cluster.statusOf(standbyOf(primary)))?.leader;
        return leader != null && leader !== primary ? leader : undefined;
      });
      await cluster.exec(frozen, 'sh', '-c', 'kill -CONT -1');
    });
  });

  test('fails over while the API server refuses its members everything, and heals when it does not', async () => {
    const binding = await cluster.kubectl('get', 'rolebinding', cluster.name, '-o', 'json');
    await during('no API', async (primary) => {
      await cluster.kubectl('delete', 'rolebinding', cluster.name);
      await kill(standbyOf(primary), '[p]od-main');
      await cluster.restore(binding);
    });
  });

  test('is scaled by hand, down to where the primary is, and up again', async () => {
    await during('scale', async () => {
      await cluster.switchTo('db-2');
      cluster.instances = 2;
      await cluster.kubectl('scale', 'statefulset', cluster.name, '--replicas=2');
      await cluster.until('the primary has moved', async () => {
        const leader = (await cluster.statusOf('db-0'))?.leader;
        return leader != null && leader !== 'db-2' ? leader : undefined;
      });
      cluster.instances = 3;
      await cluster.kubectl('scale', 'statefulset', cluster.name, '--replicas=3');
    });
  });

  test('comes back by itself when every pod was gone', async () => {
    await during('outage', () => cluster.kubectl('delete', 'pods', '--all', '--wait=false', '--grace-period=0', '--force'));
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
