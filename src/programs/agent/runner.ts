import type { Because, Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import { step } from '#core/ha/ha.ts';
import type { HaState } from '#core/ha/state.ts';

/** More waiting events than this means that the core cannot keep up: a bug, and the process ends so that the guard and peers act. */
const QUEUE_MAX = 10_000;

export interface RunnerOptions {
  readonly initial: HaState;
  /** Monotonic milliseconds, comparable between processes of the machine. */
  readonly clock: () => number;
  /** Starts an effect. For `persist` the promise resolves when it is on disk; for the others it is not waited for. */
  readonly perform: (effect: Effect) => Promise<HaEvent | undefined>;
  readonly onStep: (state: HaState, because: readonly Because[]) => void;
}

/** A promise that is not on disk yet is no reason to let a server run on. */
function endsServer(effect: Effect): boolean {
  return effect.kind === 'guard' || (effect.kind === 'job' && effect.job.kind === 'stop');
}

/**
 * Feeds events to the core, one at a time, and carries its effects out in their order. A `persist` holds everything behind it back
 * until it is on disk and the core has been told: nobody hears of a promise that could be forgotten.
 */
export class Runner {
  readonly #options: RunnerOptions;
  readonly #effects: Effect[] = [];
  #state: HaState;
  #stepping = false;
  #persisting = false;
  #stopped = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#state = options.initial;
  }

  get state(): HaState {
    return this.#state;
  }

  feed(event: HaEvent): void {
    if (this.#stopped) return;
    if (this.#stepping) throw new Error(`${event.kind} was fed from within a step`);
    this.#stepping = true;
    const { state, effects, because } = step(this.#state, event, this.#options.clock());
    this.#state = state;
    this.#stepping = false;
    for (const effect of effects) {
      if (this.#persisting && endsServer(effect)) void this.#perform(effect);
      else this.#effects.push(effect);
    }
    if (this.#effects.length > QUEUE_MAX) throw new Error(`${this.#effects.length} effects wait for the disk`);
    this.#options.onStep(state, because);
    this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    this.#effects.length = 0;
  }

  #drain(): void {
    while (!this.#persisting && !this.#stopped) {
      const effect = this.#effects.shift();
      if (effect === undefined) return;
      if (effect.kind === 'persist') {
        this.#persisting = true;
        void this.#perform(effect).then(() => {
          this.#persisting = false;
          this.#drain();
        });
      } else void this.#perform(effect);
    }
  }

  /** The answer is fed in before anything behind a `persist` begins. */
  async #perform(effect: Effect): Promise<void> {
    const event = await this.#options.perform(effect);
    if (event !== undefined) this.feed(event);
  }
}
