import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { optionsOf } from './options.ts';
import { report, tellOutcome } from './report.ts';
import { Run } from './run.ts';
import { runMany } from './run-many.ts';
import { uncovered } from './tally.ts';

const USAGE = `Proves the HA core in simulated worlds, each made from one number, its seed.

  npm run simulate -- [--seeds N] [--from N] [--workers N]   N worlds (default 1000) from seed --from (default 1) on
  npm run simulate -- --seed N [--trace]                      one world; --trace tells everything that happened in it

Ends with 1 when an invariant is violated, or when 1000 worlds or more never came across something they should.`;

/** From this many seeds on, whatever was never come across is a failure of the simulator. */
const COVERING_SEEDS = 1000;

class UsageError extends Error {}

function integer(text: string, option: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least)
    throw new UsageError(`--${option} takes a whole number from ${least} on, not '${text}'`);
  return value;
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: 'string', default: '1000' },
        from: { type: 'string', default: '1' },
        workers: { type: 'string', default: String(availableParallelism()) },
        seed: { type: 'string' },
        trace: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function main(): Promise<number> {
  const values = readOptions();
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (values.seed !== undefined) {
    const outcome = new Run(optionsOf(integer(values.seed, 'seed', 0)), true).bySeed();
    tellOutcome(outcome, values.trace);
    return outcome.violation === null ? 0 : 1;
  }
  const count = integer(values.seeds, 'seeds', 1);
  const startedAt = performance.now();
  const tally = await runMany(
    integer(values.from, 'from', 0),
    count,
    Math.min(integer(values.workers, 'workers', 1), count),
    (sofar) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${sofar.seeds} of ${count} seeds, ${sofar.failed} failed `);
    },
  );
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  const missing = count >= COVERING_SEEDS ? uncovered(tally) : [];
  report(tally, (performance.now() - startedAt) / 1000, missing);
  return tally.failed > 0 || missing.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
