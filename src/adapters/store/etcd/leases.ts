import { rubbish, toNumber } from './encoding.ts';
import type { CallLimits, EtcdClient } from './etcd-client.ts';
import { EtcdFailure } from './failures.ts';
import { grantLease, prolongLease } from './requests.ts';

/** Keys whose leases are remembered; of one that is not, the next write grants another. */
const MAX_KEPT = 1000;

interface Lease {
  readonly id: string;
  readonly seconds: number;
}

/**
 * The leases that make keys expire: one for each key and time, prolonged by each write. A lease counts whole seconds, from a
 * minimum that etcd derives from its election timeout.
 */
export class Leases {
  readonly #client: EtcdClient;
  readonly #kept = new Map<string, Lease>();

  constructor(client: EtcdClient) {
    this.#client = client;
  }

  /**
   * Calls `write` with a lease that holds for `ttlMs` from the end of the write at least. `isNew`: never one that the key may
   * have now, because a write that is refused must not prolong it.
   */
  async write<Result>(
    key: string,
    ttlMs: number,
    isNew: boolean,
    limits: CallLimits,
    write: (lease: string) => Promise<Result>,
  ): Promise<Result> {
    // The write itself may take as long as its deadline.
    const seconds = Math.ceil((ttlMs + this.#client.timeoutMs) / 1000);
    const kept = isNew ? undefined : await this.#prolonged(key, seconds, limits);
    try {
      return await write(kept ?? (await this.#grant(key, seconds, limits)));
    } catch (error) {
      if (!(error instanceof EtcdFailure) || error.remedy !== 'lease') throw error;
      return write(await this.#grant(key, seconds, limits));
    }
  }

  /** Undefined when there is none, or none any more. */
  async #prolonged(key: string, seconds: number, limits: CallLimits): Promise<string | undefined> {
    const lease = this.#kept.get(key);
    if (lease?.seconds !== seconds) return undefined;
    const { body } = await this.#client.call(prolongLease(lease.id), limits);
    // etcd answers for a lease that is gone as for any other, only without a time.
    return toNumber(body.TTL) > 0 ? lease.id : undefined;
  }

  async #grant(key: string, seconds: number, limits: CallLimits): Promise<string> {
    const { body } = await this.#client.call(grantLease(seconds), limits);
    if (typeof body.ID !== 'string') return rubbish('a lease without an id');
    this.#kept.delete(key);
    this.#kept.set(key, { id: body.ID, seconds });
    const oldest = this.#kept.keys().next().value;
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
    return body.ID;
  }
}
