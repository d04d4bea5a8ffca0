// Some seconds of what `npm run bench -- soak` does for as long as one likes: nobody sees what is another's, or forgets what is its own.
import { expect, test } from 'vitest';
import { runSoak } from '../soak/run-soak.ts';
import type { IntermediaryName } from '../support/intermediaries/intermediary.ts';

const THROUGH = (process.env.MATRIARCH_TEST_THROUGH ?? 'matriarch') as IntermediaryName;
const SEED = Number(process.env.MATRIARCH_TEST_SEED ?? 1);
const MAX_RESIDENT_MB = 400;

test.each([
  { title: 'undisturbed', faults: false, clients: 10 },
  { title: 'more clients than server connections', faults: false, clients: 40 },
  { title: 'while servers, clients and messages go wrong', faults: true, clients: 20 },
])('$title', async ({ faults, clients }) => {
  const report = await runSoak({ through: THROUGH, seed: SEED, clients, seconds: 8, faults, maxResidentMb: MAX_RESIDENT_MB });
  expect(report.violations, `seed ${report.seed}`).toEqual([]);
  expect(report.counts.transaction).toBeGreaterThan(0);
});
