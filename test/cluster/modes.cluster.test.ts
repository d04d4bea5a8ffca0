import { afterEach, describe, expect, it } from 'vitest';
import type { HistoryEntry } from '#domain/leader-record.ts';
import { faultUnderWrites } from '../support/fault-run.ts';
import { FAULTS, storeAwayFor } from '../support/faults.ts';
import { NumberedWriter, overlaps } from '../support/numbered-writer.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;

afterEach(async () => {
  await cluster?.destroy();
});

async function startWriters(count: number): Promise<readonly NumberedWriter[]> {
  const writers = Array.from({ length: count }, (_, index) => new NumberedWriter(cluster.urls.direct, `w${index}`));
  for (const writer of writers) writer.start();
  await Promise.all(writers.map((writer) => writer.advance(20, 10_000)));
  return writers;
}

/** Numbers that were acknowledged and are gone, by writer. */
async function missing(writers: readonly NumberedWriter[]): Promise<readonly (readonly number[])[]> {
  const client = await cluster.connect();
  try {
    return await Promise.all(writers.map((writer) => writer.missing(client)));
  } finally {
    await client.end();
  }
}

const recordOf = async (name: string) => (await cluster.status(name))?.leader;

async function degraded(primary: string): Promise<void> {
  await cluster.until(
    'a degraded record',
    async () => {
      const record = await recordOf(primary);
      return record?.k === 0 && record.degradedSince !== undefined ? true : undefined;
    },
    30_000,
  );
}

/** Two members of which the standby is dead, and a primary that writes on alone. */
async function startDegraded(degradeAfterMs: number) {
  cluster = await TestCluster.start({ members: 2, timings: { degradeAfterMs } });
  const primary = await cluster.healthy();
  const [standby = ''] = cluster.standbys(primary);
  const writers = await startWriters(2);
  await cluster.killMember(standby);
  await degraded(primary);
  await Promise.all(writers.map((writer) => writer.advance(20, 10_000)));
  return { primary, standby, writers };
}

describe('preferred, with two members', () => {
  it('goes on alone after degradeAfterMs and says since when; a standby that comes back ends that, and nothing is lost', async () => {
    const { primary, standby, writers } = await startDegraded(2000);
    cluster.startAgent(standby);
    await cluster.healthy();
    const record = await recordOf(primary);
    expect(record).toMatchObject({ k: 1, member: primary });
    expect(record?.degradedSince).toBeUndefined();
    await cluster.killMember(primary);
    await cluster.successorOf(primary);
    await Promise.all(writers.map((writer) => writer.advance(20, 30_000)));
    await Promise.all(writers.map((writer) => writer.stop()));
    expect(await missing(writers)).toEqual([[], []]);
    expect(overlaps(writers)).toEqual([]);
  });

  it('degraded and then lost: the stale one does not take over by itself; `failover --allow-data-loss` does, and records it', async () => {
    const { primary, standby, writers } = await startDegraded(1000);
    await cluster.killMember(primary);
    cluster.startAgent(standby);
    await cluster.until(
      'a standby without a leader',
      async () => ((await cluster.status(standby))?.self.role === 'standby' ? true : undefined),
      30_000,
    );
    // It is alone and knows the record: whatever it would decide by itself, it decides now.
    await expect(cluster.post(standby, '/failover')).rejects.toMatchObject({ code: 'request.refused' });
    expect(await recordOf(standby)).toMatchObject({ member: primary, k: 0 });
    await cluster.post(standby, '/failover', { allowDataLoss: true });
    await cluster.leader();
    await Promise.all(writers.map((writer) => writer.advance(20, 30_000)));
    await Promise.all(writers.map((writer) => writer.stop()));
    const history = await cluster.get<readonly HistoryEntry[]>(standby, '/history');
    expect(history.at(-1)).toMatchObject({ member: standby, cause: 'forced' });
    for (const lost of await missing(writers)) expect(lost.length).toBeGreaterThanOrEqual(20);
    // What the forced failover gave up is no reason not to come back.
    cluster.startAgent(primary);
    await cluster.healthy();
    expect(await cluster.agentLog(primary)).toContain('"part":"divergence"');
  });
});

describe('alone', () => {
  it('its agent is killed and restarted: no statement fails, the same server', async () => {
    cluster = await TestCluster.start({ members: 1 });
    const run = await faultUnderWrites(cluster, FAULTS.killAgentRestarted);
    expect(run.errors).toEqual([]);
  });
});

describe('async', () => {
  it('fails over by lease; what is lost are the last commits, in order, within maximumLagOnFailover', async () => {
    cluster = await TestCluster.start({ durability: 'async', timings: { leaseMs: 3000 } });
    const primary = await cluster.healthy();
    const writers = await startWriters(2);
    await cluster.killMember(primary);
    await cluster.successorOf(primary);
    const killedAfter = writers.map((writer) => writer.acknowledged.length);
    await Promise.all(writers.map((writer) => writer.advance(20, 30_000)));
    await Promise.all(writers.map((writer) => writer.stop()));
    const lost = await missing(writers);
    for (const [index, numbers] of lost.entries()) {
      const before = (writers[index]?.acknowledged ?? []).slice(0, killedAfter[index]).map((one) => one.number);
      expect(numbers).toEqual(before.slice(before.length - numbers.length));
    }
    expect(overlaps(writers)).toEqual([]);
    cluster.startAgent(primary);
    await cluster.healthy();
  });

  it('no statement fails while the store is away for longer than the lease: all who may lead confirm instead', async () => {
    cluster = await TestCluster.start({ durability: 'async', timings: { leaseMs: 3000 } });
    const epoch = await cluster.epoch();
    const writers = await startWriters(2);
    await storeAwayFor(cluster, 5000);
    await Promise.all(writers.map((writer) => writer.advance(20, 10_000)));
    await Promise.all(writers.map((writer) => writer.stop()));
    expect(writers.flatMap((writer) => writer.errors)).toEqual([]);
    expect(await cluster.epoch()).toBe(epoch);
  });
});
