/** Counts what a probe takes, in ticks of the canary's own clock. */
export const TICK_MS = 100;

/**
 * One kind of probe, begun once an interval unless the one before is still out. It is stuck when an attempt has been out for
 * `deadlineMs` worth of ticks; a tick that comes late counts once, so that time in which the canary itself was stopped, or had
 * no processor, is not held against the server. One strike is enough, because the deadline is far above anything a busy server needs,
 * and halfway there a second attempt begins: only when neither is answered is the server stuck. An attempt that has become stuck
 * stays out, and its answer is the recovery: no more attempts pile up in a server that does not take them.
 */
export class CanaryProbe {
  readonly #attempt: () => Promise<void>;
  readonly #deadlineTicks: number;
  readonly #hasSecondChance: boolean;
  #round = 0;
  #out = 0;
  #ticks = 0;
  #secondBegun = false;

  /** `attempt` resolves when there was an answer, whatever it says; while it is pending there is none. */
  constructor(options: { readonly attempt: () => Promise<void>; readonly deadlineMs: number; readonly secondChance: boolean }) {
    this.#attempt = options.attempt;
    this.#deadlineTicks = Math.ceil(options.deadlineMs / TICK_MS);
    this.#hasSecondChance = options.secondChance;
  }

  get isOut(): boolean {
    return this.#out > 0;
  }

  get isStuck(): boolean {
    return this.isOut && this.#ticks >= this.#deadlineTicks;
  }

  /** Resolves when this round is answered; at once when one is out already. */
  begin(): void {
    if (this.isOut) return;
    this.#ticks = 0;
    this.#secondBegun = false;
    this.#round += 1;
    this.#send();
  }

  tick(): void {
    if (!this.isOut) return;
    this.#ticks = Math.min(this.#deadlineTicks, this.#ticks + 1);
    if (this.#hasSecondChance && !this.#secondBegun && this.#ticks * 2 >= this.#deadlineTicks) {
      this.#secondBegun = true;
      this.#send();
    }
  }

  #send(): void {
    const round = this.#round;
    this.#out += 1;
    const answered = () => {
      // The late answer of an earlier round says nothing about this one.
      if (round === this.#round) this.#out = 0;
    };
    this.#attempt().then(answered, answered);
  }
}
