import type { StoreChange } from '#domain/ports/store.ts';
import type { ScanResult } from './requests.ts';

/** How soon a scan is tried again after the store was unavailable. */
const RETRY_MS = 250;
/** setTimeout's limit; a key that expires later is looked at again then. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** One watch: knows what it has reported, and reports what a scan finds to be different. */
export class Watcher {
  readonly #scan: (since: number, signal: AbortSignal) => Promise<ScanResult>;
  readonly #onChange: (change: StoreChange) => void;
  readonly #stopped = new AbortController();
  /** Version by key, of what was reported last. */
  readonly #known = new Map<string, number>();
  #since = 0;
  #scanning = false;
  #again = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(scan: (since: number, signal: AbortSignal) => Promise<ScanResult>, onChange: (change: StoreChange) => void) {
    this.#scan = scan;
    this.#onChange = onChange;
  }

  /** Something may have changed. Calls while a scan runs are one more scan behind it. */
  refresh(): void {
    if (this.#stopped.signal.aborted) return;
    this.#again = true;
    if (!this.#scanning) void this.#run();
  }

  stop(): void {
    this.#stopped.abort();
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    this.#scanning = true;
    try {
      while (this.#again && !signal.aborted) {
        this.#again = false;
        const result = await this.#scan(this.#since, signal).catch(() => undefined);
        if (signal.aborted) return;
        if (result === undefined) return this.#wake(RETRY_MS);
        this.#report(result);
        this.#wake(result.expiresInMs);
      }
    } finally {
      this.#scanning = false;
    }
  }

  #report(result: ScanResult): void {
    const present = new Set(result.rows.map(({ key }) => key));
    const gone = result.complete ? [...this.#known.keys()].filter((key) => !present.has(key)) : result.expired;
    // First, so that a listener that throws leaves no change to be reported twice.
    this.#since = result.upTo;
    for (const key of gone) this.#reportGone(key);
    for (const { key, value, version } of result.rows) {
      if (value === null) {
        this.#reportGone(key);
      } else if (this.#known.get(key) !== version) {
        this.#known.set(key, version);
        this.#tell({ key, current: { value: JSON.parse(value), version } });
      }
    }
  }

  #reportGone(key: string): void {
    if (this.#known.delete(key)) this.#tell({ key, current: undefined });
  }

  #tell(change: StoreChange): void {
    if (!this.#stopped.signal.aborted) this.#onChange(change);
  }

  #wake(afterMs: number | null): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (afterMs !== null && !this.#stopped.signal.aborted) {
      // One more, because timers round down and the scan has to find the key expired.
      this.#timer = setTimeout(() => this.refresh(), Math.min(MAX_TIMER_MS, Math.max(0, afterMs) + 1));
    }
  }
}
