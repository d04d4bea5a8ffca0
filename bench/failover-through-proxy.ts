import { FAULTS, type Fault } from '../test/support/faults.ts';
import { ProxyProcess } from '../test/support/proxy-process.ts';
import { type CrowdMember, type Habit, SessionCrowd } from '../test/support/session-crowd.ts';
import { TestCluster } from '../test/support/test-cluster.ts';
import { machineFacts } from './machine-facts.ts';
import { type Summary, summarize } from './summary.ts';

export interface ThroughProxyOptions {
  readonly runs: number;
  /** Names of faults; empty for those below. */
  readonly only: readonly string[];
  readonly json: boolean;
}

interface Row {
  readonly fault: string;
  readonly title: string;
  /** Of the client that waited longest for an answer, in milliseconds. */
  readonly readers: Summary;
  readonly writers: Summary;
  /** Over all runs and clients. */
  readonly errors: Readonly<Record<string, number>>;
  readonly wrongs: readonly string[];
}

const NAMES = ['switchover', 'killPostmaster', 'stopPostmaster', 'stopMember', 'killMember'] as const;
const HABITS: readonly Habit[] = [
  ...Array<Habit>(5).fill('read'),
  ...Array<Habit>(5).fill('readPrepared'),
  ...Array<Habit>(5).fill('auto'),
  ...Array<Habit>(5).fill('block'),
];
const LOGIN = { user: 'app', password: 'app-secret', database: 'postgres' };

/** How long clients that keep their connection to the proxy wait, fault by fault. Returns the exit code: 1 when one was told wrong. */
export async function benchFailoverThroughProxy({ runs, only, json }: ThroughProxyOptions): Promise<number> {
  const names = only.length === 0 ? NAMES : only.filter((name): name is keyof typeof FAULTS => name in FAULTS);
  if (names.length === 0) {
    process.stderr.write(`There is no such fault; there are ${Object.keys(FAULTS).join(', ')}.\n`);
    return 2;
  }
  const facts = machineFacts();
  const cluster = await TestCluster.start();
  try {
    await cluster.sql(`create role app login password '${LOGIN.password}'`);
    await cluster.sql(SessionCrowd.tableFor(LOGIN.user));
    const proxy = await ProxyProcess.ofAgents(cluster, LOGIN);
    if (!json) process.stdout.write(`${facts}\n${HABITS.length} clients; pauses in ms: minimum / median / maximum\n`);
    const rows: Row[] = [];
    for (const name of names) {
      const row = await measure(cluster, proxy, name, runs);
      rows.push(row);
      if (!json) process.stdout.write(describe(row));
    }
    if (json) process.stdout.write(`${JSON.stringify({ facts, rows }, null, 2)}\n`);
    await proxy.end();
    return rows.some(({ wrongs }) => wrongs.length > 0) ? 1 : 0;
  } finally {
    await cluster.destroy();
  }
}

async function measure(cluster: TestCluster, proxy: ProxyProcess, name: keyof typeof FAULTS, runs: number): Promise<Row> {
  const fault: Fault = FAULTS[name];
  const [readers, writers, wrongs]: [number[], number[], string[]] = [[], [], []];
  const errors: Record<string, number> = {};
  for (let run = 0; run < runs; run++) {
    const primary = await cluster.healthy();
    const crowd = await SessionCrowd.start(`${name}${run}`, () => proxy.connect(), HABITS);
    crowd.forgetGaps();
    await fault.inject(cluster, primary, []);
    await crowd.advance(20);
    await crowd.stop();
    readers.push(longest(crowd.members.filter(({ habit }) => habit.startsWith('read'))));
    writers.push(longest(crowd.members.filter(({ habit }) => !habit.startsWith('read'))));
    for (const error of crowd.members.flatMap((one) => one.errors)) {
      const code = error.split(' ')[0] ?? '';
      errors[code] = (errors[code] ?? 0) + 1;
    }
    wrongs.push(...(await crowd.wrongs()));
    await crowd.end();
    await fault.repair?.(cluster, primary);
    cluster.startMissingAgents();
  }
  return { fault: name, title: fault.title, readers: summarize(readers), writers: summarize(writers), errors, wrongs };
}

function longest(members: readonly CrowdMember[]): number {
  return Math.max(...members.map(({ longestGapMs }) => longestGapMs));
}

function describe({ title, readers, writers, errors, wrongs }: Row): string {
  const three = ({ minimum, median, maximum }: Summary) => [minimum, median, maximum].map((ms) => ms.toFixed(0)).join(' / ');
  const told = Object.entries(errors).map(([code, count]) => `${code} × ${count}`);
  const lines = [title, `  readers ${three(readers)}`, `  writers ${three(writers)}`, `  errors: ${told.join(', ') || 'none'}`];
  return `${[...lines, ...wrongs.map((wrong) => `  WRONG: ${wrong}`)].join('\n')}\n`;
}
