import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive } from '#adapters/process/processes.ts';
import type { NumberedWriter } from './numbered-writer.ts';
import { signal, type TestCluster } from './test-cluster.ts';

/** Under writes of `writers`. Resolves when the fault has had its effect; the writes may still be waiting. */
type Inject = (cluster: TestCluster, primary: string, writers: readonly NumberedWriter[]) => Promise<void>;

export interface Fault {
  readonly title: string;
  /** The median of the write outage is to be at most this; null where the outage has no bound of its own. */
  readonly boundMs: number | null;
  readonly inject: Inject;
  /** Brings back what the fault took away, after the writes go on. */
  readonly repair?: (cluster: TestCluster, primary: string) => Promise<void>;
}

const STARTED_AGAIN_MS = 1500;
/** Longer than the lease: whatever a leader needs the store for is due meanwhile. */
export const STORE_AWAY_MS = 12_000;

const startAgain = async (cluster: TestCluster, primary: string) => cluster.startAgent(primary);

/** The server of the primary was replaced: by another member's, or by a new one in place. */
async function replaced(cluster: TestCluster, primary: string, postmaster: number): Promise<void> {
  await cluster.until(
    'another primary, or a new server in place',
    async () =>
      (await cluster.statuses()).find(
        ({ self }) => self.state === 'primary' && (self.name !== primary || self.postgresPid !== postmaster),
      ),
    30_000,
  );
}

/** Resolves when every member has the store again. */
export async function storeAwayFor(cluster: TestCluster, ms: number): Promise<void> {
  const bringBack = await cluster.storeAway();
  try {
    await Promise.all(cluster.names.map((name) => untilStore(cluster, name, false)));
    await sleep(ms);
  } finally {
    await bringBack();
  }
  await Promise.all(cluster.names.map((name) => untilStore(cluster, name, true)));
}

/** What an agent needs the store for is refused, or done again. */
async function untilStore(cluster: TestCluster, name: string, answers: boolean): Promise<void> {
  const asked = () =>
    cluster.get(name, '/config').then(
      () => true,
      (error: { readonly code?: string }) => error.code !== 'store.unavailable',
    );
  await cluster.until(
    `${name} ${answers ? 'with' : 'without'} the store`,
    async () => (await asked()) === answers || undefined,
    30_000,
  );
}

export const FAULTS = {
  killPostmaster: {
    title: 'kill -9 of the postmaster',
    boundMs: 1000,
    async inject(cluster, primary) {
      const { postmaster } = await cluster.pids(primary);
      signal(postmaster, 'SIGKILL');
      await replaced(cluster, primary, postmaster);
    },
  },
  killBackend: {
    title: 'kill -9 of a backend',
    boundMs: 1000,
    async inject(cluster, _primary, writers) {
      const client = await cluster.connect();
      const { rows } = await client.query<{ pid: number }>(
        "select pid from pg_stat_activity where query like 'insert into numbered%' and pid <> pg_backend_pid() limit 1",
      );
      const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
      signal(rows[0]?.pid ?? 0, 'SIGKILL');
      // PostgreSQL ends every other connection as well.
      await ended;
      await Promise.all(writers.map((writer) => writer.advance(1, 30_000)));
    },
  },
  stopPostmaster: {
    title: 'SIGSTOP of the postmaster',
    boundMs: 4000,
    async inject(cluster, primary, writers) {
      const { postmaster } = await cluster.pids(primary);
      signal(postmaster, 'SIGSTOP');
      // Existing connections go on working: only the canary, which opens a new one, can find it.
      await Promise.all(writers.map((writer) => writer.advance(1, 1000)));
      await cluster.successorOf(primary);
    },
  },
  killAgentRestarted: {
    title: 'kill -9 of the agent, restarted within 2 s',
    boundMs: 0,
    async inject(cluster, primary) {
      signal(cluster.agentPid(primary), 'SIGKILL');
      await sleep(STARTED_AGAIN_MS);
      await cluster.restartAgent(primary);
      await cluster.leader();
    },
  },
  killAgentForGood: {
    title: 'kill -9 of the agent, not restarted',
    boundMs: 11_000,
    async inject(cluster, primary) {
      const { postmaster } = await cluster.pids(primary);
      signal(cluster.agentPid(primary), 'SIGKILL');
      const next = await cluster.successorOf(primary);
      if (isAlive(postmaster)) throw new Error(`the old server still runs while ${next} leads`);
    },
    repair: startAgain,
  },
  stopMember: {
    title: 'SIGSTOP of agent, guard and server, continued after the failover',
    boundMs: 3000,
    async inject(cluster, primary) {
      const { agent, guard, postgres } = await cluster.pids(primary);
      const all = [agent, guard, ...postgres];
      for (const pid of all) signal(pid, 'SIGSTOP');
      try {
        await cluster.successorOf(primary);
      } finally {
        for (const pid of all) signal(pid, 'SIGCONT');
      }
    },
  },
  killMember: {
    title: 'the whole member killed at once, for good',
    boundMs: 3000,
    async inject(cluster, primary) {
      await cluster.killMember(primary);
      await cluster.successorOf(primary);
    },
    repair: startAgain,
  },
  storeAway: {
    title: 'store unavailable, then a switchover',
    boundMs: 1000,
    async inject(cluster, primary, writers) {
      const errors = () => writers.flatMap((writer) => writer.errors).length;
      const before = errors();
      const epoch = await cluster.epoch();
      await storeAwayFor(cluster, STORE_AWAY_MS);
      if (errors() !== before) throw new Error(`statements failed while the store was away: ${writers[0]?.errors.at(-1)}`);
      if ((await cluster.epoch()) !== epoch) throw new Error('the epoch changed while the store was away');
      await cluster.post(primary, '/switchover');
    },
  },
  switchover: {
    title: 'switchover',
    boundMs: 1000,
    async inject(cluster, primary) {
      await cluster.post(primary, '/switchover');
    },
  },
  twoFailures: {
    title: 'a second failure before the first has rejoined',
    boundMs: null,
    async inject(cluster, primary) {
      await cluster.killMember(primary);
      const second = await cluster.successorOf(primary);
      await cluster.killMember(second);
      cluster.startAgent(second);
    },
    repair: startAgain,
  },
  killAll: {
    title: 'all members killed at once and started again',
    boundMs: null,
    async inject(cluster) {
      await Promise.all(cluster.names.map((name) => cluster.killMember(name)));
      for (const name of cluster.names) cluster.startAgent(name);
    },
  },
} as const satisfies Readonly<Record<string, Fault>>;
