import { setTimeout as pause } from 'node:timers/promises';
import { fail } from '#domain/errors.ts';
import type { Store, StoreChange, SwapOutcome, Versioned, WriteOptions } from '#domain/ports/store.ts';
import { describeLockHolder } from './lock-holder.ts';
import type { ScanResult, StoreAnswer, StoredRow, StoreRequest } from './requests.ts';
import { StoreWorker } from './store-worker.ts';
import { Watcher } from './watcher.ts';

export interface SqliteStoreOptions {
  /** Made when it is missing, readable by the owner of its folder alone. Beside it stand `-wal`, `-shm` and `-signal`. */
  readonly file: string;
  /** How long a call may take. Default 1000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 1000;
/** Opening may have to wait for another process that recovers the file after a crash. */
const OPEN_TIMEOUT_FACTOR = 5;
/** The longest wait between two attempts at a lock. */
const MAX_PAUSE_MS = 20;
const MAX_VALUE_BYTES = 1 << 20;

/**
 * Opens the embedded store, or makes it. Errors: `store.unavailable`, `store.readOnly`, `store.full`, `store.corrupt`,
 * `store.foreign` (no store of Matriarch), `store.newer` (made by a later version).
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const store = new SqliteStore(options.file, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  try {
    await store.open();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}

class SqliteStore implements Store {
  readonly #file: string;
  readonly #timeoutMs: number;
  readonly #worker: StoreWorker;
  readonly #watchers = new Set<Watcher>();
  #closed = false;

  constructor(file: string, timeoutMs: number) {
    this.#file = file;
    this.#timeoutMs = timeoutMs;
    this.#worker = new StoreWorker({ file }, () => {
      for (const watcher of this.#watchers) watcher.refresh();
    });
  }

  async open(): Promise<void> {
    await this.#call({ kind: 'create' }, undefined, this.#timeoutMs * OPEN_TIMEOUT_FACTOR);
  }

  async get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Versioned | undefined> {
    const answer = await this.#call({ kind: 'get', key }, options?.signal);
    return answer.kind === 'row' ? toVersioned(answer.row) : unexpected(answer);
  }

  async list(
    prefix: string,
    options?: { readonly signal?: AbortSignal },
  ): Promise<readonly (Versioned & { readonly key: string })[]> {
    const answer = await this.#call({ kind: 'list', prefix }, options?.signal);
    if (answer.kind !== 'rows') return unexpected(answer);
    return answer.rows.map(({ key, value, version }) => ({ key, value: JSON.parse(value), version }));
  }

  async compareAndSet(key: string, expected: number | null, value: unknown, options: WriteOptions = {}): Promise<SwapOutcome> {
    const answer = await this.#write(key, expected, value, options);
    if (answer.kind === 'written') return { ok: true, version: answer.version };
    return answer.kind === 'conflict' ? { ok: false, current: toVersioned(answer.current) } : unexpected(answer);
  }

  async put(key: string, value: unknown, options: WriteOptions = {}): Promise<{ readonly version: number }> {
    const answer = await this.#write(key, 'any', value, options);
    return answer.kind === 'written' ? { version: answer.version } : unexpected(answer);
  }

  async delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    await this.#call({ kind: 'delete', key }, options?.signal);
  }

  watch(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#closed) return;
    const watcher = new Watcher((since, aborted) => this.#scan(prefix, since, aborted), onChange);
    this.#watchers.add(watcher);
    const end = () => {
      watcher.stop();
      this.#watchers.delete(watcher);
    };
    signal.addEventListener('abort', end, { once: true });
    this.#worker.listen();
    watcher.refresh();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.stop();
    this.#watchers.clear();
    await this.#worker.close(performance.now() + this.#timeoutMs);
  }

  #write(key: string, expected: number | null | 'any', value: unknown, options: WriteOptions): Promise<StoreAnswer> {
    const text = JSON.stringify(value);
    if (text === undefined) fail('internal.bug', `${key}: undefined is no value; delete the key instead`);
    if (Buffer.byteLength(text) > MAX_VALUE_BYTES) fail('store.tooLarge', `${key}: ${Buffer.byteLength(text)} bytes`);
    const { ttlMs = null, durable = true, signal } = options;
    return this.#call({ kind: 'write', key, expected, value: text, ttlMs, durable }, signal);
  }

  async #scan(prefix: string, since: number, signal: AbortSignal): Promise<ScanResult> {
    const answer = await this.#call({ kind: 'scan', prefix, since }, signal);
    return answer.kind === 'scanned' ? answer.result : unexpected(answer);
  }

  async #call(request: StoreRequest, signal: AbortSignal | undefined, timeoutMs = this.#timeoutMs): Promise<StoreAnswer> {
    const deadline = performance.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      if (this.#closed) fail('store.unavailable', 'the store was closed');
      const outcome = await this.#worker.ask(request, deadline, signal);
      if (outcome.kind === 'answered') return outcome.answer;
      if (outcome.kind === 'failed') fail(outcome.code, outcome.detail);
      if (outcome.kind === 'lost') fail('store.unavailable', `${this.#file}: ${outcome.detail}`);
      const pauseMs = Math.min(MAX_PAUSE_MS, 2 ** attempt) * (0.5 + Math.random() / 2);
      if (performance.now() + pauseMs >= deadline) {
        fail('store.unavailable', `${this.#file}: ${describeLockHolder(this.#file) ?? 'other processes kept the lock'}`);
      }
      await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
    }
  }
}

function toVersioned(row: StoredRow | undefined): Versioned | undefined {
  return row === undefined ? undefined : { value: JSON.parse(row.value), version: row.version };
}

function unexpected(answer: StoreAnswer): never {
  return fail('internal.bug', `the store's worker answered with ${answer.kind}`);
}
