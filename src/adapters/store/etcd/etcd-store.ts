import { fail, MatriarchError } from '#domain/errors.ts';
import type { Store, StoreChange, SwapOutcome, Versioned, WriteOptions } from '#domain/ports/store.ts';
import { WatchHub } from '../watch-hub.ts';
import type { EtcdAnswer } from './answers.ts';
import { type CredentialFiles, readCredentials } from './credentials.ts';
import { rubbish, toVersioned } from './encoding.ts';
import { type CallLimits, EtcdClient } from './etcd-client.ts';
import { EtcdFailure } from './failures.ts';
import { Follower } from './follower.ts';
import { Leases } from './leases.ts';
import { list, pairsOf } from './listing.ts';
import { deleteKey, type EtcdRequest, readKey, swapKey, writeKey } from './requests.ts';

export interface EtcdStoreOptions extends CredentialFiles {
  /** URLs of the members of etcd, 3.4 or later. The first one is asked first. */
  readonly endpoints: readonly string[];
  /** What every key begins with; it ends in a slash. */
  readonly prefix: string;
  /** How long a call may take. Default 2000. */
  readonly timeoutMs?: number;
}

/** A key that expires takes two calls: where the way there and back takes 600 ms, they fit in with a packet lost. */
const DEFAULT_TIMEOUT_MS = 2000;
const MAX_VALUE_BYTES = 1 << 20;

/**
 * Opens a store in etcd, by its JSON gateway. Reads the files that the options name and asks etcd nothing yet. Errors: `tls.invalid`
 * and `store.denied` of those files. Later calls: `store.unavailable`, `store.denied`, `store.untrusted`, `store.full`,
 * `store.tooLarge`. Every write is on the disks of a majority when it is answered, whatever `durable` says; times to live are
 * rounded up to whole seconds, and judged by etcd's own monotonic clock.
 */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const credentials = await readCredentials(options);
  const client = new EtcdClient(options.endpoints, credentials, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  return new EtcdStore(client, options.prefix);
}

class EtcdStore implements Store {
  readonly #client: EtcdClient;
  readonly #root: string;
  readonly #leases: Leases;
  readonly #watches: WatchHub;

  constructor(client: EtcdClient, root: string) {
    this.#client = client;
    this.#root = root;
    this.#leases = new Leases(client);
    this.#watches = new WatchHub((tell) => new Follower(client, root, tell), client.closing);
  }

  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Versioned | undefined> {
    return this.#act(options?.signal, async (limits) => {
      return this.#current(await this.#client.call(readKey(this.#root + key), limits));
    });
  }

  list(prefix: string, options?: { readonly signal?: AbortSignal }): Promise<readonly (Versioned & { readonly key: string })[]> {
    return this.#act(options?.signal, async (limits) => {
      const { entries } = await list(this.#client, this.#root, prefix, limits);
      return entries.map((entry) => ({ key: entry.key, ...toVersioned(entry) }));
    });
  }

  async compareAndSet(key: string, expected: number | null, value: unknown, options: WriteOptions = {}): Promise<SwapOutcome> {
    const text = toText(key, value);
    return this.#act(options.signal, async (limits) => {
      const swap = (lease?: string) => swapKey(this.#root + key, expected, text, lease);
      const { body, revision } = await this.#write(key, swap, true, options, limits);
      if (body.succeeded === true) return { ok: true, version: revision };
      const [response] = Array.isArray(body.responses) ? body.responses : [];
      if (response?.response_range === undefined) return rubbish('a transaction without its outcome');
      const found = pairsOf(response.response_range, this.#root)[0];
      return { ok: false, current: found === undefined ? undefined : toVersioned(found) };
    });
  }

  async put(key: string, value: unknown, options: WriteOptions = {}): Promise<{ readonly version: number }> {
    const text = toText(key, value);
    return this.#act(options.signal, async (limits) => {
      const { revision } = await this.#write(key, (lease) => writeKey(this.#root + key, text, lease), false, options, limits);
      return { version: revision };
    });
  }

  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#act(options?.signal, async (limits) => {
      await this.#client.call(deleteKey(this.#root + key), limits);
    });
  }

  watch(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void {
    this.#watches.add(prefix, onChange, signal);
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.#watches.close();
  }

  #write(
    key: string,
    request: (lease?: string) => EtcdRequest,
    newLease: boolean,
    { ttlMs }: WriteOptions,
    limits: CallLimits,
  ): Promise<EtcdAnswer> {
    if (ttlMs === undefined) return this.#client.call(request(), limits);
    return this.#leases.write(key, ttlMs, newLease, limits, (lease) => this.#client.call(request(lease), limits));
  }

  #current({ body }: EtcdAnswer): Versioned | undefined {
    const found = pairsOf(body, this.#root)[0];
    return found === undefined ? undefined : toVersioned(found);
  }

  async #act<Result>(signal: AbortSignal | undefined, act: (limits: CallLimits) => Promise<Result>): Promise<Result> {
    try {
      return await act(this.#client.limits(signal));
    } catch (error) {
      if (error instanceof EtcdFailure) throw new MatriarchError(error.code, `etcd: ${error.message}`, error);
      throw error;
    }
  }
}

function toText(key: string, value: unknown): string {
  const text = JSON.stringify(value);
  if (text === undefined) fail('internal.bug', `${key}: undefined is no value; delete the key instead`);
  if (Buffer.byteLength(text) > MAX_VALUE_BYTES) fail('store.tooLarge', `${key}: ${Buffer.byteLength(text)} bytes`);
  return text;
}
