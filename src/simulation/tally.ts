import { COVERED, type Covered } from './coverage.ts';
import type { Outcome, Violation } from './run.ts';

export interface Failure {
  readonly seed: number;
  readonly violation: Violation;
}

/** How many failures are told apart; behind the first ones the rest only counts. */
const FAILURES_MAX = 50;

/** What many runs came to. Plain data: it travels between threads. */
export interface Tally {
  seeds: number;
  events: number;
  failed: number;
  failures: Failure[];
  counts: Partial<Record<Covered, number>>;
  /** The slowest recovery after the faults, in simulated milliseconds, and its seed. */
  servedAfterMs: number;
  inOrderAfterMs: number;
  slowestSeed: number;
}

export function emptyTally(): Tally {
  return { seeds: 0, events: 0, failed: 0, failures: [], counts: {}, servedAfterMs: 0, inOrderAfterMs: 0, slowestSeed: 0 };
}

export function addOutcome(tally: Tally, outcome: Outcome): void {
  const counts: Tally['counts'] = Object.fromEntries(outcome.coverage.counts);
  const { seed, violation } = outcome;
  mergeTally(tally, {
    seeds: 1,
    events: outcome.events,
    failed: violation === null ? 0 : 1,
    failures: violation === null ? [] : [{ seed, violation }],
    counts,
    servedAfterMs: outcome.servedAfterMs ?? 0,
    inOrderAfterMs: outcome.inOrderAfterMs ?? 0,
    slowestSeed: seed,
  });
}

export function mergeTally(into: Tally, from: Tally): void {
  into.seeds += from.seeds;
  into.events += from.events;
  into.failed += from.failed;
  into.failures.push(...from.failures.slice(0, FAILURES_MAX - into.failures.length));
  for (const name of COVERED) into.counts[name] = (into.counts[name] ?? 0) + (from.counts[name] ?? 0);
  if (from.servedAfterMs > into.servedAfterMs) into.slowestSeed = from.slowestSeed;
  into.servedAfterMs = Math.max(into.servedAfterMs, from.servedAfterMs);
  into.inOrderAfterMs = Math.max(into.inOrderAfterMs, from.inOrderAfterMs);
}

/** What these runs never came across. */
export function uncovered(tally: Tally): readonly Covered[] {
  return COVERED.filter((name) => (tally.counts[name] ?? 0) === 0);
}
