/** While something is under way: agents are asked how far they are, which no watch tells. */
const BUSY_MS = 3000;
/** Of a cluster at rest, and of one whose waiting has lasted: a thousand of them whose pods cannot run must not keep a processor busy. */
const CALM_MS = 60_000;

/** After how long to look at a cluster again: seldom at rest, soon while something moves, and ever less often while nothing does. */
export class Patience {
  readonly #waits = new Map<string, { readonly what: string; readonly since: number }>();

  /** `what` it waits for; null: nothing. However often it is asked, what counts is how long that has lasted. */
  msUntilNext(key: string, what: string | null, now = performance.now()): number {
    if (what === null) {
      this.#waits.delete(key);
      return CALM_MS;
    }
    const before = this.#waits.get(key);
    const since = before?.what === what ? before.since : now;
    this.#waits.set(key, { what, since });
    return Math.min(CALM_MS, Math.max(BUSY_MS, (now - since) / 2));
  }

  forget(key: string): void {
    this.#waits.delete(key);
  }
}
