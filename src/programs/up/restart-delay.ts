const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** Whoever lived so long had come up: its end is an accident, not a defect, and it is started again at once. */
const SETTLED_MS = 10_000;

/** How long to wait before an agent is started again: nothing after an accident, else twice as long each time. */
export class RestartDelay {
  #failures = 0;

  /** `livedMs`: from its start to its end. */
  after(livedMs: number): number {
    if (livedMs >= SETTLED_MS) this.#failures = 0;
    const delay = this.#failures === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#failures - 1));
    this.#failures++;
    return delay;
  }

  /** Deaths in a row, each soon after the start. */
  get failures(): number {
    return this.#failures;
  }
}
