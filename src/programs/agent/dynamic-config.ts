import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { MatriarchError } from '#domain/errors.ts';
import type { Store } from '#domain/ports/store.ts';
import type { ConfigChecker } from '#programs/config-check/config-checker.ts';
import type { AgentLog } from './agent-log.ts';
import { KEYS } from './store-feed.ts';

const RETRY_MS = 500;

/**
 * The dynamic configuration at the start of an agent. The store holds it; a copy beside the member's data lets an agent start while the
 * store is away, and adopt the server that runs.
 */
export class DynamicConfig {
  readonly #store: Store;
  readonly #checker: ConfigChecker;
  readonly #copy: string;
  readonly #log: AgentLog;

  constructor(store: Store, checker: ConfigChecker, copy: string, log: AgentLog) {
    this.#store = store;
    this.#checker = checker;
    this.#copy = copy;
    this.#log = log;
  }

  /**
   * From the store; for a new cluster `initial` is written there. Without an answer, the copy; without a copy it waits for the store
   * until `signal` aborts. Errors: `config.invalid`, and what the store refuses for good.
   */
  async read(initial: ClusterConfig | undefined, signal: AbortSignal): Promise<ClusterConfig> {
    for (let told = false; ; told = true) {
      try {
        return await this.#fromStore(initial);
      } catch (error) {
        if (!(error instanceof MatriarchError && error.code === 'store.unavailable')) throw error;
        const copied = await this.#fromCopy();
        if (!told)
          this.#log.warn('store', `${error.message}; ${copied === undefined ? 'waiting for it' : 'starting without it'}`);
        if (copied !== undefined) return copied;
      }
      await sleep(RETRY_MS, undefined, { signal });
    }
  }

  /** That it fails costs a start without the store, and nothing now. */
  async remember(config: ClusterConfig): Promise<void> {
    await writeAtomically(this.#copy, `${JSON.stringify(config, null, 2)}\n`).catch((error: Error) =>
      this.#log.warn('config', `${this.#copy}: ${error.message}`),
    );
  }

  async #fromStore(initial: ClusterConfig | undefined): Promise<ClusterConfig> {
    const found = await this.#store.get(KEYS.config);
    if (found !== undefined || initial === undefined) return this.#checker.cluster(found?.value ?? {}, 'config in the store');
    const written = await this.#store.compareAndSet(KEYS.config, null, initial);
    return written.ok ? initial : this.#checker.cluster(written.current?.value ?? {}, 'config in the store');
  }

  async #fromCopy(): Promise<ClusterConfig | undefined> {
    try {
      return await this.#checker.cluster(JSON.parse(await readFile(this.#copy, 'utf8')), this.#copy);
    } catch {
      return undefined;
    }
  }
}
