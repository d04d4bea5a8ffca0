import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { faultUnderWrites, underWrites } from '../support/fault-run.ts';
import type { Fault } from '../support/faults.ts';
import { Machines, STATEMENT_TIMEOUT_MS } from '../support/machines.ts';
import { networkFaults } from '../support/network-faults.ts';
import { NumberedWriter } from '../support/numbered-writer.ts';

let machines: Machines;
let faults: ReturnType<typeof networkFaults>;

beforeAll(async () => {
  machines = await Machines.start();
  faults = networkFaults(machines);
}, 90_000);

afterEach(() => {
  machines.network.heal();
  machines.cluster.startMissingAgents();
});

afterAll(() => machines?.destroy());

/** With one more client that never goes anywhere but to the primary: it is told nothing after the next one has told others. */
async function isolate(fault: Fault) {
  const { cluster } = machines;
  let pinned: NumberedWriter | undefined;
  let firstOfNext = Number.POSITIVE_INFINITY;
  const run = await underWrites(
    cluster,
    async (primary, writers) => {
      pinned = new NumberedWriter(cluster.urlOf(primary), `pinned${performance.now()}`, {
        statementTimeoutMs: STATEMENT_TIMEOUT_MS,
      });
      pinned.start();
      await pinned.advance(20, 10_000);
      const old = pinned.acknowledged[0]?.server;
      await fault.inject(cluster, primary, writers);
      await Promise.all(writers.map((writer) => writer.advance(5, 30_000)));
      const next = writers.flatMap(({ acknowledged }) => acknowledged).filter(({ server }) => server !== old);
      firstOfNext = Math.min(...next.map(({ ackAt }) => ackAt));
    },
    { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
  );
  await fault.repair?.(cluster, run.before);
  await cluster.healthy();
  await pinned?.stop();
  expect(pinned?.acknowledged.filter(({ sentAt }) => sentAt > firstOfNext)).toEqual([]);
  const client = await cluster.connect();
  expect(await pinned?.missing(client)).toEqual([]);
  await client.end();
  return run;
}

describe('the primary is cut off, under writes: another one leads, it acknowledges nothing, and it rejoins with a rewind', () => {
  it.each(['cutOff', 'cutFromCluster', 'cutFromMembers', 'deaf', 'mute'] as const)('%s', async (name) => {
    const { cluster } = machines;
    const run = await isolate(faults[name]);
    expect(run.after).not.toBe(run.before);
    expect(await cluster.agentLog(run.before)).toContain('rewind: done');
  });

  it('powered off without a word, and back later', async () => {
    const run = await faultUnderWrites(machines.cluster, faults.powerOff, { statementTimeoutMs: STATEMENT_TIMEOUT_MS });
    expect(run.after).not.toBe(run.before);
    await machines.cluster.healthy();
  });
});

describe('the network is cut elsewhere', () => {
  it('between the primary and the store, for longer than the lease: no statement fails, nobody else leads', async () => {
    const epoch = await machines.cluster.epoch();
    const run = await faultUnderWrites(machines.cluster, faults.cutFromStore);
    expect(run.errors).toEqual([]);
    expect(await machines.cluster.epoch()).toBe(epoch);
    await machines.cluster.healthy();
  });

  it('around each standby: nothing is acknowledged without them, nobody leads, and writes go on when they are back', async () => {
    const { cluster, network } = machines;
    const epoch = await cluster.epoch();
    await underWrites(
      cluster,
      async (primary, writers) => {
        const standbys = cluster.standbys(primary);
        for (const standby of standbys) network.cutOff(standby);
        await cluster.until(
          'writes that nobody answers',
          async () => writers.every(({ errors }) => errors.length > 0) || undefined,
          30_000,
        );
        const acknowledged = () => writers.map((writer) => writer.acknowledged.length);
        const before = acknowledged();
        // Both would have stood for election by now, several times, and have said why not.
        await Promise.all(standbys.map((standby) => decided(standby, 'stands back')));
        expect(acknowledged()).toEqual(before);
        network.heal();
      },
      { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    );
    await cluster.healthy();
    expect(await cluster.epoch()).toBeGreaterThanOrEqual(epoch);
  });

  it('around one standby: no statement fails, and it comes back without a clone or a rewind', async () => {
    const { cluster, network } = machines;
    const run = await underWrites(cluster, async (primary, writers) => {
      const [standby = ''] = cluster.standbys(primary);
      network.cutOff(standby);
      await cluster.until(
        'a sync set without it',
        async () => (await cluster.status(primary))?.leader?.sync.length === 1 || undefined,
        30_000,
      );
      await Promise.all(writers.map((writer) => writer.advance(20, 10_000)));
      network.heal();
    });
    expect(run.errors).toEqual([]);
    await cluster.healthy();
  });

  it('between primary and store on one side and a standby on the other: they go on', async () => {
    const { cluster, network } = machines;
    const epoch = await cluster.epoch();
    const run = await underWrites(cluster, async (primary, writers) => {
      const [near = '', far = ''] = cluster.standbys(primary);
      network.cut(far, [primary, near]);
      await Promise.all(writers.map((writer) => writer.advance(200, 30_000)));
      network.heal();
    });
    expect(run.errors).toEqual([]);
    expect(await cluster.epoch()).toBe(epoch);
    await cluster.healthy();
  });
});

/** A decision of a member that was made after this call. */
async function decided(member: string, text: string): Promise<void> {
  const { cluster } = machines;
  const before = (await cluster.agentLog(member)).length;
  await cluster.until(
    `${member}: ${text}`,
    async () => (await cluster.agentLog(member)).slice(before).includes(text) || undefined,
    30_000,
  );
}
