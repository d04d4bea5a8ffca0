import { allCheckers } from './checkers/all.ts';
import type { Checker } from './checkers/checker.ts';
import { Coverage } from './coverage.ts';
import { serves, whyNotInOrder } from './liveness.ts';
import type { WorldOptions } from './options.ts';
import { Person } from './person.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { Trace } from './trace.ts';
import { World } from './world.ts';

export interface Violation {
  readonly invariant: string;
  readonly text: string;
  /** Simulated milliseconds. */
  readonly at: number;
}

export interface Outcome {
  readonly seed: number;
  readonly violation: Violation | null;
  readonly events: number;
  readonly hash: string;
  readonly coverage: Coverage;
  /** From the end of the faults to the first acknowledged write, and to everything in order. null: not reached. */
  readonly servedAfterMs: number | null;
  readonly inOrderAfterMs: number | null;
  readonly trace: Trace;
  readonly lostRows: number;
}

/** H7's bounds, of simulated time after the last fault. */
export const SERVED_WITHIN_MS = 60_000;
export const IN_ORDER_WITHIN_MS = 120_000;
/** More would be a core that keeps itself busy. */
const EVENTS_MAX = 3_000_000;
const SETTLE_MS = 15_000;

class Violated extends Error {
  readonly violation: Violation;
  constructor(violation: Violation) {
    super(violation.text);
    this.violation = violation;
  }
}

/** One world from its beginning to its end, watched by every checker. */
export class Run {
  readonly world: World;
  readonly trace: Trace;
  readonly coverage = new Coverage();
  readonly #checkers: readonly Checker[] = allCheckers();
  servedAfterMs: number | null = null;
  inOrderAfterMs: number | null = null;

  constructor(options: WorldOptions, traced = false) {
    this.trace = new Trace(traced);
    this.world = new World(options, this.trace);
  }

  /** Faults from the seed, then peace. */
  bySeed(): Outcome {
    return this.#guarded(() => {
      const { world } = this;
      const random = world.faults.random;
      this.#until(() => serves(world), random.between(1000, SETTLE_MS));
      world.faults.begin();
      this.#until(() => false, world.options.faultsForMs);
      world.faults.heal();
      this.#recovers();
    });
  }

  /** Faults from a script, which yields milliseconds to wait or a condition to wait for; then peace. */
  byScript(scenario: Scenario): Outcome {
    return this.#guarded(() => {
      const { world } = this;
      this.#until(() => whyNotInOrder(world) === null, 60_000);
      for (const wait of scenario(world)) {
        if (typeof wait === 'number') this.#until(() => false, wait);
        else if (!this.#until(wait, 30_000)) world.trace('script', 'gives up waiting');
      }
      world.faults.heal();
      this.#recovers();
    });
  }

  #guarded(play: () => void): Outcome {
    let violation: Violation | null = null;
    try {
      play();
    } catch (error) {
      violation =
        error instanceof Violated
          ? error.violation
          : { invariant: 'assertion', text: describeError(error), at: this.world.scheduler.now };
    }
    const { options, scheduler } = this.world;
    return {
      seed: options.seed,
      violation,
      events: scheduler.executed,
      hash: this.trace.hash,
      coverage: this.coverage,
      servedAfterMs: this.servedAfterMs,
      inOrderAfterMs: this.inOrderAfterMs,
      trace: this.trace,
      lostRows: 0,
    };
  }

  /** H7: a leader serves, a write is acknowledged, and everybody is back in order; a person helps only where the rules ask for one. */
  #recovers(): void {
    const { world } = this;
    const healedAt = world.scheduler.now;
    let acknowledged = false;
    const person = new Person(world);
    const healthy = (): boolean => {
      for (const happening of this.#seen) if (happening.kind === 'acknowledged') acknowledged = true;
      person.watch();
      return acknowledged && serves(world);
    };
    if (!this.#until(healthy, SERVED_WITHIN_MS))
      this.#violated(
        'H7',
        `no write is acknowledged ${SERVED_WITHIN_MS} ms after the last fault: ${whyNotInOrder(world) ?? 'although a leader serves'}`,
      );
    this.servedAfterMs = world.scheduler.now - healedAt;
    const left = IN_ORDER_WITHIN_MS - this.servedAfterMs;
    if (!this.#until(() => whyNotInOrder(world) === null, left))
      this.#violated('H7', `${IN_ORDER_WITHIN_MS} ms after the last fault: ${whyNotInOrder(world)}`);
    this.inOrderAfterMs = world.scheduler.now - healedAt;
    this.#until(() => false, 500);
  }

  #seen: World['happenings'] = [];

  /** Lets the world go on until the condition holds; false when `forMs` passed first. */
  #until(condition: () => boolean, forMs: number): boolean {
    const { scheduler } = this.world;
    const end = scheduler.now + forMs;
    let checkedAt = scheduler.now;
    while (scheduler.now < end) {
      if (!scheduler.next()) this.#violated('assertion', 'nothing is left to happen');
      if (scheduler.executed > EVENTS_MAX) this.#violated('H7', 'the members keep themselves busy without end');
      this.trace.mix(scheduler.now * 1000);
      this.#check();
      if (this.#seen.length === 0 && scheduler.now - checkedAt < 1) continue;
      checkedAt = scheduler.now;
      if (condition()) return true;
    }
    return condition();
  }

  #check(): void {
    const { world } = this;
    const happenings = world.happenings;
    if (happenings.length > 0) world.happenings = [];
    this.#seen = happenings;
    for (const happening of happenings) {
      this.coverage.happened(happening);
      for (const checker of this.#checkers) {
        const complaint = checker.happened?.(happening, world) ?? null;
        if (complaint !== null) this.#violated(checker.invariant, complaint);
      }
    }
    for (const checker of this.#checkers) {
      const complaint = checker.moment?.(world) ?? null;
      if (complaint !== null) this.#violated(checker.invariant, complaint);
    }
  }

  #violated(invariant: string, text: string): never {
    this.world.trace('VIOLATION', `${invariant}: ${text}`);
    throw new Violated({ invariant, text, at: this.world.scheduler.now });
  }
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 6).join('\n') : String(error);
}
