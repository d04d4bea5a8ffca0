import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExpectedDifference } from './expected-differences.ts';

export interface Difference {
  readonly test: string;
  /** Unified, for people. */
  readonly diff: string;
  /** The lines that no expected difference explains; empty: this difference is expected. */
  readonly unexplained: readonly string[];
  readonly because: readonly string[];
}

/**
 * The tests that printed something else than directly, with their diffs; as pg_regress does, white space does not count. `folder`: for
 * the texts that `diff` compares; everything in it is the caller's to remove.
 */
export function compareRuns(
  direct: ReadonlyMap<string, string>,
  through: ReadonlyMap<string, string>,
  expected: readonly ExpectedDifference[],
  folder: string,
): readonly Difference[] {
  const tests = [...new Set([...direct.keys(), ...through.keys()])].toSorted();
  return tests.flatMap((test) => {
    const diff = diffTexts(direct.get(test), through.get(test), folder);
    if (diff === '') return [];
    const rules = expected.filter((rule) => rule.test === test);
    const used = new Set<ExpectedDifference>();
    const unexplained = changedLines(diff).filter((line) => {
      const rule = rules.find(({ lines }) => lines.some((pattern) => pattern.test(line)));
      if (rule !== undefined) used.add(rule);
      return rule === undefined;
    });
    return [{ test, diff, unexplained, because: [...used].map(({ because }) => because) }];
  });
}

function diffTexts(direct: string | undefined, through: string | undefined, folder: string): string {
  if (direct === through) return '';
  const files = [direct, through].map((text, index) => {
    const file = join(folder, ['direct.out', 'through.out'][index] ?? '');
    writeFileSync(file, text ?? 'This test did not run.\n', 'latin1');
    return file;
  });
  const { stdout, stderr, status } = spawnSync('diff', ['-w', '-U3', '--label=direct', '--label=through', ...files], {
    encoding: 'latin1',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (status !== 0 && status !== 1) throw new Error(`diff: ${stderr}`);
  return stdout;
}

/** Those that begin with + or -, without the two of the head. */
function changedLines(diff: string): readonly string[] {
  return diff.split('\n').filter((line, index) => index > 1 && /^[+-]/.test(line));
}
