/** A value with the version that the next compare-and-set must name. Versions of one key only grow. */
export interface Versioned {
  readonly value: unknown;
  readonly version: number;
}

export type SwapOutcome =
  | { readonly ok: true; readonly version: number }
  /** Somebody else wrote first; `current` is what stands there now (undefined: nothing). */
  | { readonly ok: false; readonly current: Versioned | undefined };

export interface StoreChange {
  readonly key: string;
  /** Undefined when the key was deleted or has expired. */
  readonly current: Versioned | undefined;
}

export interface WriteOptions {
  /** The key disappears unless it is written again within this time. Default: it stays. */
  readonly ttlMs?: number;
  /** False for what may be lost with the machine's power, such as a lease. Default true: synced before the answer. */
  readonly durable?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * A linearizable key-value store with compare-and-set, expiring keys and watch. Keys are paths such as `members/n1`; values JSON.
 * Every call either answers within `timeoutMs` of the store or rejects with `store.unavailable`: after a rejected write nothing is
 * known about its effect, which may also come later, and the caller reads back and compares and sets.
 */
export interface Store {
  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Versioned | undefined>;
  list(prefix: string, options?: { readonly signal?: AbortSignal }): Promise<readonly (Versioned & { readonly key: string })[]>;
  /** `expected` null: the key must not exist. */
  compareAndSet(key: string, expected: number | null, value: unknown, options?: WriteOptions): Promise<SwapOutcome>;
  /** Writes whatever stands there. */
  put(key: string, value: unknown, options?: WriteOptions): Promise<{ readonly version: number }>;
  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Calls `onChange` with every key under `prefix` as it stands first, then with each change in order; intermediate values of one key
   * may be skipped, the last one never. Survives the loss of the store: it resumes by itself until `signal` aborts.
   */
  watch(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void;
  close(): Promise<void>;
}
