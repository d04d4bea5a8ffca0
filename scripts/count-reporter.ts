import type { Reporter, TestModule } from 'vitest/node';

/** Ends every run with one line that a program can read: `N passed, N failed`. What was skipped is neither, and named. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: 'passed' | 'failed' | 'skipped') => tests.filter((test) => test.result().state === state).length;
    // A file that cannot be loaded, or an error outside of any test, fails a run in which every test may have passed.
    const broken = modules.filter((module) => module.errors().length > 0).length + errors.length;
    const skipped = count('skipped');
    for (const test of tests) {
      const { retryCount = 0 } = test.diagnostic() ?? {};
      if (retryCount > 0) console.log(`only at the second attempt: ${test.fullName}`);
    }
    console.log(`${count('passed')} passed, ${count('failed') + broken} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  }
}
