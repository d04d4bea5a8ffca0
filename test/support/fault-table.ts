import { describe, expect, it } from 'vitest';
import { faultUnderWrites, underWrites } from './fault-run.ts';
import { FAULTS } from './faults.ts';
import type { TestCluster } from './test-cluster.ts';

/**
 * Every fault of one machine, on whatever hosts and store the cluster of `current` has. In each, no acknowledged row is missing and
 * never do two members acknowledge.
 */
export function describeFaultTable(current: () => TestCluster): void {
  describeProcesses(current);
  describeMembers(current);
  describeStoreAndPeople(current);
}

function describeProcesses(current: () => TestCluster): void {
  describe('a process of the primary, under writes', () => {
    it('kill -9 of the postmaster: somebody else leads, and it comes back as a standby', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.killPostmaster);
      await cluster.healthy();
      expect((await cluster.status(run.before))?.self.state).toBe(run.after === run.before ? 'primary' : 'streaming');
    });

    it('kill -9 of a backend', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.killBackend);
      expect(run.errors.length).toBeGreaterThan(0);
      await cluster.healthy();
    });

    it('SIGSTOP of the postmaster: existing connections go on, the canary finds it, somebody else leads', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.stopPostmaster);
      expect(run.after).not.toBe(run.before);
      await cluster.healthy();
    });

    it('kill -9 of the agent, restarted within 2 s: no statement fails, same primary, same epoch', async () => {
      const cluster = current();
      const before = await cluster.epoch();
      const run = await faultUnderWrites(cluster, FAULTS.killAgentRestarted);
      expect(run.errors).toEqual([]);
      expect(run.after).toBe(run.before);
      expect(await cluster.epoch()).toBe(before);
    });

    it('kill -9 of the agent of a standby, restarted: no statement fails, and its server runs on', async () => {
      const cluster = current();
      const epoch = await cluster.epoch();
      const run = await underWrites(cluster, async (primary) => {
        for (const standby of cluster.standbys(primary)) {
          const { postmaster } = await cluster.pids(standby);
          await cluster.restartAgent(standby);
          expect((await cluster.status(standby))?.self.postgresPid).toBe(postmaster);
          await cluster.healthy();
        }
      });
      expect(run.errors).toEqual([]);
      expect(await cluster.epoch()).toBe(epoch);
    });

    it('kill -9 of the agent, not restarted: the guard ends the server before anybody else leads', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.killAgentForGood);
      expect(run.after).not.toBe(run.before);
      await cluster.healthy();
    });
  });
}

function describeMembers(current: () => TestCluster): void {
  describe('whole members, under writes', () => {
    it('SIGSTOP of agent, guard and server, continued after the failover: it rejoins', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.stopMember);
      expect(run.after).not.toBe(run.before);
      await cluster.healthy();
    });

    it('the whole member killed at once, for good; then it is started again', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.killMember);
      expect(run.after).not.toBe(run.before);
      await cluster.healthy();
    });

    it('two failures before the first has rejoined; writes return when a majority is back', async () => {
      const cluster = current();
      await faultUnderWrites(cluster, FAULTS.twoFailures);
      await cluster.healthy();
    });

    it('all members killed at once and started again', async () => {
      const cluster = current();
      await faultUnderWrites(cluster, FAULTS.killAll);
      await cluster.healthy();
    });
  });
}

function describeStoreAndPeople(current: () => TestCluster): void {
  describe('the store, and people, under writes', () => {
    it('the store is away for longer than the lease: no statement fails, nobody else leads; then a switchover', async () => {
      const cluster = current();
      const run = await faultUnderWrites(cluster, FAULTS.storeAway);
      expect(run.after).not.toBe(run.before);
      await cluster.healthy();
    });

    it('ten switchovers in a row', async () => {
      const cluster = current();
      const before = await cluster.epoch();
      await underWrites(cluster, async () => {
        for (let i = 0; i < 10; i++) {
          const leader = await cluster.healthy();
          await cluster.post(leader, '/switchover');
        }
      });
      expect(await cluster.epoch()).toBeGreaterThanOrEqual(before + 10);
      await cluster.healthy();
    });
  });
}
