import { type FaultRunOptions, faultUnderWrites } from '../test/support/fault-run.ts';
import { FAULTS, type Fault } from '../test/support/faults.ts';
import { Machines, WATCHFUL } from '../test/support/machines.ts';
import { networkFaults } from '../test/support/network-faults.ts';
import { TestCluster } from '../test/support/test-cluster.ts';
import { type Summary, summarize } from './summary.ts';

export interface FailoverOptions {
  readonly runs: number;
  /** Names of faults; empty for all. */
  readonly only: readonly string[];
  readonly json: boolean;
  /** Members on hosts of their own, and the faults of the network too. */
  readonly machines: boolean;
}

interface Row extends Summary {
  readonly fault: string;
  readonly title: string;
  readonly boundMs: number | null;
  /** Statements that were answered with an error, over all runs. */
  readonly failedStatements: number;
  readonly failedRuns: readonly string[];
}

interface Arena {
  readonly cluster: TestCluster;
  readonly faults: Readonly<Record<string, Fault>>;
  readonly options: FaultRunOptions;
  destroy(): Promise<void>;
}

async function build(machines: boolean): Promise<Arena> {
  if (!machines) {
    const cluster = await TestCluster.start();
    return { cluster, faults: FAULTS, options: { ...WATCHFUL, statementTimeoutMs: undefined }, destroy: () => cluster.destroy() };
  }
  const all = await Machines.start();
  return { cluster: all.cluster, faults: { ...FAULTS, ...networkFaults(all) }, options: WATCHFUL, destroy: () => all.destroy() };
}

/** Injects each fault again and again into one running cluster under writes. Returns the exit code: 1 when a run failed. */
export async function benchFailover({ runs, only, json, machines }: FailoverOptions): Promise<number> {
  const arena = await build(machines);
  try {
    const names = Object.keys(arena.faults).filter((name) => only.length === 0 || only.includes(name));
    if (names.length === 0) {
      process.stderr.write(`There is no such fault; there are ${Object.keys(arena.faults).join(', ')}.\n`);
      return 2;
    }
    if (!json)
      process.stdout.write(line('write outage in ms', 'runs', 'minimum', 'median', 'maximum', 'bound', 'failed statements'));
    const rows: Row[] = [];
    for (const name of names) {
      const row = await measure(arena, name, runs);
      rows.push(row);
      if (!json) process.stdout.write(describe(row));
    }
    if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return rows.some(({ failedRuns }) => failedRuns.length > 0) ? 1 : 0;
  } finally {
    await arena.destroy();
  }
}

async function measure({ cluster, faults, options }: Arena, name: string, runs: number): Promise<Row> {
  const fault = faults[name] as Fault;
  const outages: number[] = [];
  const failedRuns: string[] = [];
  let failedStatements = 0;
  for (let i = 0; i < runs; i++) {
    try {
      const run = await faultUnderWrites(cluster, fault, options);
      outages.push(run.outageMs);
      failedStatements += run.errors.length;
    } catch (error) {
      failedRuns.push((error as Error).message);
    }
    cluster.startMissingAgents();
  }
  return { fault: name, title: fault.title, boundMs: fault.boundMs, ...summarize(outages), failedStatements, failedRuns };
}

function describe({ title, count, minimum, median, maximum, boundMs, failedStatements, failedRuns }: Row): string {
  const bound = boundMs === null ? '–' : boundMs === 0 ? 'no error' : `≤ ${boundMs}`;
  const numbers = [minimum, median, maximum].map((ms) => ms.toFixed(0)) as [string, string, string];
  const failures = failedRuns.map((why) => `  FAILED: ${why}\n`).join('');
  return line(title, String(count), ...numbers, bound, String(failedStatements)) + failures;
}

function line(title: string, ...cells: readonly string[]): string {
  return `${title.padEnd(66)}${cells.map((cell) => cell.padStart(9)).join('')}\n`;
}
