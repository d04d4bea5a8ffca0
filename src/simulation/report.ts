import { COVERED } from './coverage.ts';
import { IN_ORDER_WITHIN_MS, type Outcome, SERVED_WITHIN_MS } from './run.ts';
import type { Tally } from './tally.ts';

/** Enough to see what led to a violation without reading everything. */
const TAIL_LINES = 80;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** For people: what many runs came to. */
export function report(tally: Tally, elapsedSeconds: number, missing: readonly string[]): void {
  const rate = (tally.seeds / elapsedSeconds).toFixed(0);
  const eventRate = Math.round(tally.events / elapsedSeconds).toLocaleString('en');
  console.log(
    `${tally.seeds} seeds in ${elapsedSeconds.toFixed(1)} s: ${rate} seeds/s, ${tally.events.toLocaleString('en')} events, ${eventRate} events/s\n`,
  );
  console.log('Came across, over all seeds:');
  for (const name of COVERED) console.log(`  ${String(tally.counts[name] ?? 0).padStart(10)}  ${name}`);
  console.log(`\nH7, after the last fault (simulated time; slowest: seed ${tally.slowestSeed}):`);
  console.log(`  a write is acknowledged   at most ${seconds(tally.servedAfterMs)}  (bound ${seconds(SERVED_WITHIN_MS)})`);
  console.log(`  everybody is in order     at most ${seconds(tally.inOrderAfterMs)}  (bound ${seconds(IN_ORDER_WITHIN_MS)})\n`);
  for (const { seed, violation } of tally.failures.toSorted((a, b) => a.seed - b.seed))
    console.log(
      `seed ${seed}: ${violation.invariant} at ${seconds(violation.at)}: ${violation.text}\n  npm run simulate -- --seed ${seed}`,
    );
  if (tally.failed > tally.failures.length) console.log(`and ${tally.failed - tally.failures.length} more`);
  if (missing.length > 0) console.log(`Never came across: ${missing.join(', ')}`);
  console.log(
    tally.failed === 0 ? 'No invariant was violated.' : `${tally.failed} of ${tally.seeds} seeds violate an invariant.`,
  );
}

/** For people: one run, with everything that happened or, when it failed, what happened last. */
export function tellOutcome(outcome: Outcome, everything: boolean): void {
  const { lines } = outcome.trace;
  const told = everything ? lines : outcome.violation === null ? [] : lines.slice(-TAIL_LINES);
  for (const line of told) console.log(line);
  const { seed, violation, events, hash } = outcome;
  console.log(`\nseed ${seed}: ${events} events, hash ${hash}`);
  if (violation === null) {
    console.log(
      `no invariant was violated; served ${seconds(outcome.servedAfterMs ?? 0)} and in order ${seconds(outcome.inOrderAfterMs ?? 0)} after the last fault`,
    );
    return;
  }
  console.log(`${violation.invariant} is violated at ${seconds(violation.at)}: ${violation.text}`);
  console.log(`replay with everything that happened: npm run simulate -- --seed ${seed} --trace`);
}
