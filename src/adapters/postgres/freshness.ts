/**
 * How long ago something last happened, when all that is known is a stamp that changes with it. Stamps of walreceivers and standbys
 * come from wall clocks, which jump and differ; between two looks of ours the monotonic clock decides.
 */
export class Freshness {
  readonly #seen = new Map<string, { stamp: string; at: number; lookedAt: number }>();

  /**
   * `reportedMs`: the age by the wall clock, believed only within the time since the look before, or 0 where there is none to
   * believe. The first look takes it as it is.
   */
  ageMs(key: string, stamp: string, reportedMs: number, now: number): number {
    const before = this.#seen.get(key);
    const reported = Math.max(0, reportedMs);
    if (before === undefined) this.#seen.set(key, { stamp, at: now - reported, lookedAt: now });
    else if (before.stamp === stamp) before.lookedAt = now;
    else this.#seen.set(key, { stamp, at: now - Math.min(reported, now - before.lookedAt), lookedAt: now });
    return now - (this.#seen.get(key)?.at ?? now);
  }

  /** Forgets everything but these. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#seen.keys()) if (!keys.has(key)) this.#seen.delete(key);
  }
}
