import { runSoak } from '../test/soak/run-soak.ts';
import { describeHoldings } from '../test/soak/soak-holdings.ts';
import type { IntermediaryName } from '../test/support/intermediaries/intermediary.ts';

export interface SoakBenchOptions {
  readonly through: IntermediaryName;
  readonly minutes: number;
  readonly clients: number;
  readonly seed: number;
  readonly calm: boolean;
  readonly maxResidentMb: number;
  readonly skip: readonly string[];
  readonly json: boolean;
}

/** Returns the exit code: 1 when a client saw what it must not see. */
export async function benchSoak(options: SoakBenchOptions): Promise<number> {
  const { through, minutes, clients, seed, calm, maxResidentMb, skip, json } = options;
  const print = (text: string) => !json && process.stdout.write(`${text}\n`);
  print(`seed ${seed}: ${clients} clients through ${through} for ${minutes} minutes${calm ? '' : ', with faults'}`);
  const report = await runSoak({
    through,
    seed,
    clients,
    seconds: minutes * 60,
    faults: !calm,
    maxResidentMb,
    skip,
    onProgress: print,
  });
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  for (const [what, count] of Object.entries(report.counts)) print(`  ${what.padEnd(32)}${String(count).padStart(10)}`);
  for (const [when, held] of Object.entries(report.holdings)) print(`${when.padEnd(14)}${describeHoldings(held)}`);
  print(`memory of the proxy: ${report.highestMb.toFixed(0)} MB at most (limit ${maxResidentMb})`);
  for (const violation of report.violations) print(`VIOLATION, seed ${seed}: ${violation}`);
  if (report.violations.length === 0) print('Nobody saw what it must not see.');
  return report.violations.length === 0 ? 0 : 1;
}
