const INTERVAL_MS = 250;
/** Delays of the last five seconds count. */
const KEPT = 20;

/**
 * How late this process has been of late: the longest that its timer was delayed in the last seconds. Four wake-ups a second
 * (perf_hooks.monitorEventLoopDelay takes a hundred).
 */
export class EventLoopDelay {
  readonly #delays: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #expectedAt = performance.now() + INTERVAL_MS;

  constructor() {
    this.#timer = setInterval(() => this.#measure(), INTERVAL_MS);
    this.#timer.unref();
  }

  /** Milliseconds, with the delay that is going on now. */
  recentMs(): number {
    return Math.max(0, performance.now() - this.#expectedAt, ...this.#delays);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #measure(): void {
    const now = performance.now();
    this.#delays.push(Math.max(0, now - this.#expectedAt));
    if (this.#delays.length > KEPT) this.#delays.shift();
    this.#expectedAt = now + INTERVAL_MS;
  }
}
