/** Each bucket ends at 1.25 times the end of the one before, so that a quantile is off by at most a quarter. */
const RATIO = 1.25;
const LOG_RATIO = Math.log(RATIO);
/** From 1 µs to 1000 s; what took longer is counted in the last one. */
const BUCKETS = Math.ceil(Math.log(1e9) / LOG_RATIO) + 1;

/** Durations in microseconds, counted in fixed buckets. Nothing is allocated after it was made. */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;
  #sumUs = 0;

  /** Anything below 1 µs, negative ones of a clock that was set included, counts as 1 µs. */
  observe(us: number): void {
    const bucket = us > 1 ? Math.min(BUCKETS - 1, Math.ceil(Math.log(us) / LOG_RATIO)) : 0;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
    this.#sumUs += Math.max(us, 0);
  }

  get count(): number {
    return this.#count;
  }

  get sumUs(): number {
    return this.#sumUs;
  }

  /** The duration that the fraction `q` (0 to 1) of all stayed below, in microseconds; 0 when nothing was observed. */
  quantile(q: number): number {
    const wanted = q * this.#count;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const here = this.#counts[bucket] ?? 0;
      if (here > 0 && below + here >= wanted) {
        const start = RATIO ** (bucket - 1);
        return start + (RATIO ** bucket - start) * Math.max(0, (wanted - below) / here);
      }
      below += here;
    }
    return 0;
  }

  /** How many took at most so long, for every `step`-th bucket from the shortest on. The last one holds all, without an end. */
  *cumulative(step: number): Generator<{ readonly upToUs: number; readonly count: number }> {
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
      count += this.#counts[bucket] ?? 0;
      if (bucket % step === 0) yield { upToUs: RATIO ** bucket, count };
    }
    yield { upToUs: Infinity, count: this.#count };
  }
}
