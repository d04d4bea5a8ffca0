import { CONTEST_FAULTS, type Contender, type ContestFault, type ContestRun } from './peers/contender.ts';
import { startMatriarch } from './peers/matriarch.ts';
import { patroniVersion, startPatroni } from './peers/patroni.ts';
import { type Summary, summarize } from './summary.ts';

export interface ContestOptions {
  readonly runs: number;
  /** Names of faults; empty for all. */
  readonly only: readonly string[];
  readonly json: boolean;
}

interface Row extends Summary {
  readonly fault: ContestFault;
  readonly contender: string;
  /** Over all runs. */
  readonly failedStatements: number;
  readonly lostRows: number;
  readonly failedRuns: readonly string[];
}

/**
 * The same faults, one after the other on every contender, in one run on one machine. Returns the exit code: 1 when a run of Matriarch
 * failed.
 */
export async function benchContest({ runs, only, json }: ContestOptions): Promise<number> {
  const faults = (Object.keys(CONTEST_FAULTS) as ContestFault[]).filter((name) => only.length === 0 || only.includes(name));
  const print = (text: string) => !json && process.stdout.write(text);
  print(`${patroniVersion()}; three members and etcd, a network namespace each; write outage in ms\n`);
  const contenders: Contender[] = [];
  try {
    contenders.push(await startMatriarch());
    for (const variant of ['defaults', 'minimum'] as const) contenders.push(await startPatroni(variant));
    const rows: Row[] = [];
    for (const fault of faults) {
      print(`\n${CONTEST_FAULTS[fault]}\n${line('', 'runs', 'minimum', 'median', 'maximum', 'errors', 'lost rows')}`);
      const results = new Map(contenders.map(({ name }) => [name, { done: [] as ContestRun[], failed: [] as string[] }]));
      for (let run = 0; run < runs; run++) for (const contender of contenders) await attempt(contender, fault, results);
      for (const [contender, { done, failed }] of results) {
        const row: Row = {
          fault,
          contender,
          ...summarize(done.map(({ outageMs }) => outageMs)),
          failedStatements: done.reduce((sum, { errors }) => sum + errors.length, 0),
          lostRows: done.reduce((sum, { lost }) => sum + lost, 0),
          failedRuns: failed,
        };
        rows.push(row);
        print(describe(row));
      }
    }
    if (json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
    return rows.some(({ contender, failedRuns }) => contender === 'matriarch' && failedRuns.length > 0) ? 1 : 0;
  } finally {
    for (const contender of contenders) await contender.destroy();
  }
}

async function attempt(
  contender: Contender,
  fault: ContestFault,
  results: ReadonlyMap<string, { readonly done: ContestRun[]; readonly failed: string[] }>,
): Promise<void> {
  const own = results.get(contender.name);
  try {
    own?.done.push(await contender.run(fault));
  } catch (error) {
    own?.failed.push((error as Error).message);
  }
}

function describe({ contender, count, minimum, median, maximum, failedStatements, lostRows, failedRuns }: Row): string {
  const numbers = [minimum, median, maximum].map((ms) => ms.toFixed(0)) as [string, string, string];
  const failures = failedRuns.map((why) => `  FAILED: ${why}\n`).join('');
  return line(`  ${contender}`, String(count), ...numbers, String(failedStatements), String(lostRows)) + failures;
}

function line(title: string, ...cells: readonly string[]): string {
  return `${title.padEnd(24)}${cells.map((cell) => cell.padStart(10)).join('')}\n`;
}
