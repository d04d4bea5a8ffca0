import { setTimeout as sleep } from 'node:timers/promises';
import { describe, it, type TestContext } from 'vitest';
import type { HistoryEntry } from '#domain/leader-record.ts';
import { underWrites } from '../support/fault-run.ts';
import { Machines, type MachinesOptions } from '../support/machines.ts';
import { NumberedWriter, overlaps } from '../support/numbered-writer.ts';

const MINUTE_MS = 60_000;

async function start({ onTestFinished }: TestContext, options?: MachinesOptions): Promise<Machines> {
  const machines = await Machines.start(options);
  onTestFinished(() => machines.destroy());
  return machines;
}

// Nearly all of it is waiting: side by side.
describe.concurrent('for long', () => {
  it('the store is unreachable for a minute and back: no statement fails, nobody else leads; then a switchover', async (context) => {
    const { expect } = context;
    const machines = await start(context);
    const { cluster, network, store } = machines;
    const before = await cluster.epoch();
    const run = await underWrites(cluster, async (primary, writers) => {
      network.cutOff(store);
      await sleep(MINUTE_MS);
      expect(writers.flatMap(({ errors }) => errors)).toEqual([]);
      expect((await cluster.status(primary))?.leader).toMatchObject({ member: primary, epoch: before });
      network.heal();
      await cluster.healthy();
      expect(writers.flatMap(({ errors }) => errors)).toEqual([]);
      await cluster.post(primary, '/switchover');
    });
    expect(run.after).not.toBe(run.before);
    await cluster.healthy();
  });

  it('every link takes 300 ms and loses a packet in twenty, for a minute: nobody takes over', async (context) => {
    const { expect } = context;
    const machines = await start(context, { slow: { delayMs: 300, loss: 0.05 } });
    const { cluster } = machines;
    const before = await cluster.epoch();
    const run = await underWrites(cluster, () => sleep(MINUTE_MS));
    expect(run.after).toBe(run.before);
    expect(await cluster.epoch()).toBe(before);
  });

  it('async: a cut-off primary serves until its lease ends at most, and nobody leads before; what is lost are its last commits, and it says so', async (context) => {
    const { expect } = context;
    const machines = await start(context, { durability: 'async', timings: { leaseMs: 3000 } });
    const { cluster, network } = machines;
    const primary = await cluster.healthy();
    // A client on the wrong side of the cut, and one that finds whoever leads.
    const left = new NumberedWriter(cluster.urlOf(primary), 'left', { statementTimeoutMs: 1000 });
    const free = new NumberedWriter(cluster.urls.direct, 'free', { statementTimeoutMs: 1000 });
    for (const writer of [left, free]) writer.start();
    await Promise.all([left, free].map((writer) => writer.advance(50, 10_000)));
    network.cut(primary, machines.othersOf(primary));
    const next = await cluster.successorOf(primary);
    await free.advance(20, 30_000);
    await Promise.all([left, free].map((writer) => writer.stop()));
    const firstOfNext = free.acknowledged.find(({ server }) => server.startsWith(`${network.address(next)}:`));
    // One writer: nothing that the old primary was asked after the next one had answered was answered by it.
    expect(left.acknowledged.filter(({ sentAt }) => sentAt > (firstOfNext?.ackAt ?? 0))).toEqual([]);
    expect(overlaps([left, free])).toEqual([]);
    const client = await cluster.connect();
    const lost = await left.missing(client);
    await client.end();
    // The end of what it acknowledged, without a hole.
    expect(lost).toEqual(left.acknowledged.map(({ number }) => number).slice(left.acknowledged.length - lost.length));
    expect(lost.length).toBeGreaterThan(0);
    const history = await cluster.get<readonly HistoryEntry[]>(next, '/history');
    expect(history.at(-1)).toMatchObject({ member: next });
    network.heal();
    await cluster.healthy();
    expect(await cluster.agentLog(primary)).toContain('"part":"divergence"');
  });
});
