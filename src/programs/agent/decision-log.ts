import type { Because } from '#core/ha/effects.ts';

/** How many decisions `explain` can tell of. */
const KEPT = 50;

export interface Decision extends Because {
  readonly at: string;
}

/** The last decisions of the core with their rules. Saying the same again is not a new decision. */
export class DecisionLog {
  readonly #kept: Decision[] = [];

  /** Returns those of `because` that are new, for the log. */
  add(because: readonly Because[], at: string): readonly Because[] {
    const fresh: Because[] = [];
    for (const reason of because) {
      const last = this.#kept[0];
      if (last !== undefined && last.rule === reason.rule && last.text === reason.text) continue;
      this.#kept.unshift({ at, ...reason });
      fresh.push(reason);
    }
    this.#kept.length = Math.min(this.#kept.length, KEPT);
    return fresh;
  }

  get recent(): readonly Decision[] {
    return this.#kept;
  }
}
