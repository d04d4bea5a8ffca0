// PostgreSQL's own regression suite, directly and through a proxy, and what differs: `npm run regress -- [OPTIONS]`.
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { INTERMEDIARIES, type IntermediaryName } from '../support/intermediaries/intermediary.ts';
import { compareRuns, type Difference } from './compare-runs.ts';
import { readExpectedDifferences } from './expected-differences.ts';
import { pinsIn } from './pins.ts';
import { type RegressRun, runRegress } from './run-regress.ts';

const USAGE = `npm run regress -- [--through ${INTERMEDIARIES.join('|')}] [--test NAME]... [--diffs FILE] [--verbose]
`;

const MOST_DIFF_CHARS = 4000;

// What was started is ended by `exit`.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const { values } = parseArgs({
  options: {
    through: { type: 'string', default: 'matriarch' },
    test: { type: 'string', multiple: true, default: [] },
    diffs: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});

if (INTERMEDIARIES.includes(values.through as IntermediaryName)) {
  process.exitCode = await main(values.through as IntermediaryName);
} else {
  process.stderr.write(USAGE);
  process.exitCode = 2;
}

async function main(through: IntermediaryName): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'matriarch-regress-'));
  // The server's own user has to pass through.
  chmodSync(folder, 0o755);
  try {
    const run = async (name: IntermediaryName, place: string) => {
      process.stdout.write(`${name} …\n`);
      return await runRegress({ through: name, folder: join(folder, place), tests: values.test });
    };
    const direct = await run('direct', 'direct');
    process.stdout.write(describeRun(direct));
    const proxied = await run(through, 'through');
    process.stdout.write(describeRun(proxied));
    if (values.verbose) process.stdout.write(proxied.log);
    const differences = compareRuns(direct.outputs, proxied.outputs, readExpectedDifferences(), folder);
    if (values.diffs !== undefined)
      writeFileSync(values.diffs, differences.map(({ test, diff }) => `# ${test}\n${diff}`).join(''));
    return report(differences, proxied);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

function describeRun({ through, seconds, failed, outputs, hung }: RegressRun): string {
  const failures = failed.length === 0 ? 'none failed' : `failed: ${failed.join(', ')}`;
  return `  ${through}: ${outputs.size} tests in ${seconds.toFixed(0)} s, ${failures}\n${hung.map((query) => `  hung, and ended: ${query.split('\n')[0]}\n`).join('')}`;
}

/** Returns the exit code: 1 when something differs that nothing explains. */
function report(differences: readonly Difference[], { metrics, hung, pipelines }: RegressRun): number {
  const unknown = differences.filter(({ unexplained }) => unexplained.length > 0);
  for (const { test, diff } of unknown) process.stdout.write(`\n# ${test}\n${shorten(diff)}`);
  for (const { test, because, unexplained } of differences) {
    const why = because.length === 0 ? '' : ` (${because.join('; ')})`;
    process.stdout.write(
      `${unexplained.length === 0 ? 'expected  ' : 'DIFFERENT '} ${test}: ${unexplained.length} lines unexplained${why}\n`,
    );
  }
  if (metrics !== null) process.stdout.write(pinsIn(metrics));
  process.stdout.write(`${unknown.length} tests differ from the direct run without an explanation.\n`);
  for (const why of pipelines) process.stdout.write(`libpq_pipeline ${why}\n`);
  return [unknown, hung, pipelines].every(({ length }) => length === 0) ? 0 : 1;
}

function shorten(diff: string): string {
  return diff.length <= MOST_DIFF_CHARS
    ? diff
    : `${diff.slice(0, MOST_DIFF_CHARS)}\n… (${diff.length} characters; --diffs FILE for all)\n`;
}
