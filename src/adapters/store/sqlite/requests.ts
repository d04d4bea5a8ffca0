/** What the store asks of its worker. Values travel as JSON text, so that the worker never parses them. */
export type StoreRequest =
  | { readonly kind: 'get'; readonly key: string }
  | { readonly kind: 'list'; readonly prefix: string }
  | {
      readonly kind: 'write';
      readonly key: string;
      /** The version that must stand there; null: nothing; 'any': whatever stands there. */
      readonly expected: number | null | 'any';
      readonly value: string;
      readonly ttlMs: number | null;
      readonly durable: boolean;
    }
  | { readonly kind: 'delete'; readonly key: string }
  /** Everything under `prefix` that is newer than the version `since`. */
  | { readonly kind: 'scan'; readonly prefix: string; readonly since: number }
  /**
   * Before the first use. Without it the file is opened by the first request, and its absence is a fault: an empty store in its place
   * would forget who leads.
   */
  | { readonly kind: 'create' }
  /** From now on send `changed` whenever the file may hold something new. */
  | { readonly kind: 'listen' }
  /** The worker ends after its answer. */
  | { readonly kind: 'close' };

export interface StoredRow {
  readonly key: string;
  readonly value: string;
  readonly version: number;
}

export interface ScanResult {
  /** In the order of their versions. A null value: deleted. */
  readonly rows: readonly { readonly key: string; readonly value: string | null; readonly version: number }[];
  /** Keys that stand there and have expired. */
  readonly expired: readonly string[];
  /** Every live key under the prefix is in `rows`: what else the watcher knows is gone. */
  readonly complete: boolean;
  /** The next `since`. */
  readonly upTo: number;
  /** Until the next key under the prefix expires; null when none will. */
  readonly expiresInMs: number | null;
}

export type StoreAnswer =
  | { readonly kind: 'row'; readonly row: StoredRow | undefined }
  | { readonly kind: 'rows'; readonly rows: readonly StoredRow[] }
  | { readonly kind: 'written'; readonly version: number }
  | { readonly kind: 'conflict'; readonly current: StoredRow | undefined }
  | { readonly kind: 'scanned'; readonly result: ScanResult }
  | { readonly kind: 'done' };

export type StoreFailure =
  | 'store.unavailable'
  | 'store.full'
  | 'store.readOnly'
  | 'store.corrupt'
  | 'store.foreign'
  | 'store.newer';

/** From the worker. */
export type WorkerMessage =
  | { readonly kind: 'answered'; readonly id: number; readonly answer: StoreAnswer }
  /** Another process holds a lock; nothing was done. The asker tries again as long as its deadline allows. */
  | { readonly kind: 'busy'; readonly id: number }
  | { readonly kind: 'failed'; readonly id: number; readonly code: StoreFailure; readonly detail: string }
  | { readonly kind: 'changed' };

export type WorkerReply = Exclude<WorkerMessage, { kind: 'changed' }>;

/** To the worker. */
export interface WorkerRequest {
  readonly id: number;
  readonly request: StoreRequest;
}

export interface WorkerSettings {
  readonly file: string;
}
