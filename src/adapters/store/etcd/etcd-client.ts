import { fail } from '#domain/errors.ts';
import type { EtcdAnswer } from './answers.ts';
import { Call } from './call.ts';
import type { Credentials } from './credentials.ts';
import { Endpoint } from './endpoint.ts';
import { EndpointOrder } from './endpoint-order.ts';
import { EtcdFailure } from './failures.ts';
import type { EtcdRequest } from './requests.ts';

/** Calls that may be under way. */
const MAX_OUTSTANDING = 1000;

/** By when, by performance.now(), and for whom. */
export interface CallLimits {
  readonly deadline: number;
  readonly signal?: AbortSignal | undefined;
}

/** The members of etcd as one that answers. */
export class EtcdClient {
  readonly timeoutMs: number;
  readonly order: EndpointOrder;
  readonly #closing = new AbortController();
  #clusterId: string | undefined;
  #outstanding = 0;

  constructor(urls: readonly string[], credentials: Credentials, timeoutMs: number) {
    this.timeoutMs = timeoutMs;
    // Named twice, a silent member would be asked twice.
    const different = [...new Set(urls.map((url) => new URL(url).origin))];
    this.order = new EndpointOrder(different.map((url) => new Endpoint(url, credentials, timeoutMs)));
  }

  /** Aborts when the store is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  limits(signal?: AbortSignal): CallLimits {
    return { deadline: performance.now() + this.timeoutMs, signal };
  }

  /** Rejects with EtcdFailure by the deadline, or with the reason of `signal`. */
  async call(request: EtcdRequest, { deadline, signal }: CallLimits): Promise<EtcdAnswer> {
    signal?.throwIfAborted();
    if (this.closing.aborted) fail('store.unavailable', 'the store was closed');
    if (this.#outstanding >= MAX_OUTSTANDING) fail('store.unavailable', 'too many requests are waiting');
    this.#outstanding += 1;
    try {
      const given = signal === undefined ? this.closing : AbortSignal.any([this.closing, signal]);
      return await new Call(this.order, request, { deadline, signal: given, check: (answer) => this.#check(answer) }).run();
    } catch (error) {
      signal?.throwIfAborted();
      if (this.closing.aborted) fail('store.unavailable', 'the store was closed');
      throw error;
    } finally {
      this.#outstanding -= 1;
    }
  }

  close(): void {
    this.#closing.abort();
    for (const endpoint of this.order.all) endpoint.close();
  }

  /**
   * Endpoints of two clusters of etcd would be two stores, each with a leader of its own; and another cluster in the place of this
   * one has forgotten who leads. Until this process starts anew the first that answered is the one.
   */
  #check({ clusterId }: EtcdAnswer): void {
    this.#clusterId ??= clusterId;
    if (clusterId === this.#clusterId) return;
    throw new EtcdFailure(
      'store.unavailable',
      `it belongs to another cluster of etcd (${clusterId}) than before (${this.#clusterId})`,
    );
  }
}
