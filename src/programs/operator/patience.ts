/** While something is under way: agents are asked how far they are, which no watch tells. */
const BUSY_MS = 3000;
/** Of a cluster at rest, and of one whose waiting has lasted: a thousand of them whose pods cannot run must not keep a processor busy. */
const CALM_MS = 60_000;
const GROWTH = 1.5;

/** After how long to look at a cluster again: seldom at rest, soon while something moves, and ever less often while nothing does. */
export class Patience {
  readonly #waits = new Map<string, { readonly what: string; readonly ms: number }>();

  /** `what` it waits for; null: nothing. */
  msUntilNext(key: string, what: string | null): number {
    const before = this.#waits.get(key);
    if (what === null) {
      this.#waits.delete(key);
      return CALM_MS;
    }
    const ms = before?.what === what ? Math.min(CALM_MS, before.ms * GROWTH) : BUSY_MS;
    this.#waits.set(key, { what, ms });
    return ms;
  }

  forget(key: string): void {
    this.#waits.delete(key);
  }
}
