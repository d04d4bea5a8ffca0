/** Anybody may ask, and each question costs the server a connection: one at a time, and not more often than this. */
const FRESH_MS = 1000;

/** The parameters that wait for a restart of the server. */
export class PendingRestart {
  readonly #ask: () => Promise<readonly string[]>;
  #askedAt = -Infinity;
  #answer: Promise<readonly string[] | undefined> = Promise.resolve(undefined);

  constructor(ask: () => Promise<readonly string[]>) {
    this.#ask = ask;
  }

  /** Undefined when the server does not answer. */
  names(): Promise<readonly string[] | undefined> {
    const now = performance.now();
    if (now - this.#askedAt < FRESH_MS) return this.#answer;
    this.#askedAt = now;
    this.#answer = this.#ask().catch(() => undefined);
    return this.#answer;
  }
}
