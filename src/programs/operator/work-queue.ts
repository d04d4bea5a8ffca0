/** After a failure, doubling: what is wrong with one cluster is seldom gone at once, and must not hold up the others. */
const RETRY_MS = { first: 500, longest: 60_000 } as const;

export interface WorkQueueOptions {
  /** How many keys are worked on at once; one key never twice at once. */
  readonly workers: number;
  /** Does what there is to do for the key, and says after how long to look again; null: when something happens. */
  readonly work: (key: string) => Promise<number | null>;
  readonly onFailure: (key: string, error: Error, failures: number) => void;
}

/** Keys that something is to be done for. What is said of a key while it is worked on leads to one more time, however often it is said. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, { readonly timer: NodeJS.Timeout; readonly at: number }>();
  readonly #failures = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #closed = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#waiting.size + this.#running.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#cancel(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#start();
  }

  /** Unless it is due sooner. */
  addAfter(key: string, ms: number): void {
    const at = performance.now() + ms;
    const known = this.#timers.get(key);
    if (this.#closed || this.#waiting.has(key) || (known !== undefined && known.at <= at)) return;
    this.#cancel(key);
    this.#timers.set(key, { at, timer: setTimeout(() => this.add(key), ms) });
  }

  /** Takes nothing more; resolves when what runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const key of [...this.#timers.keys()]) this.#cancel(key);
    this.#waiting.clear();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #start(): void {
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.workers) return;
      this.#waiting.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      const ms = await this.#options.work(key);
      this.#failures.delete(key);
      if (ms !== null) this.addAfter(key, ms);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.#options.onFailure(key, error as Error, failures);
      this.addAfter(
        key,
        Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(failures - 1, 12)) * (0.75 + Math.random() / 2),
      );
    } finally {
      this.#running.delete(key);
      if (this.#again.delete(key)) this.add(key);
      this.#start();
      if (this.#closed && this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #cancel(key: string): void {
    clearTimeout(this.#timers.get(key)?.timer);
    this.#timers.delete(key);
  }
}
