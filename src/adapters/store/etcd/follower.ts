import { setTimeout as pause } from 'node:timers/promises';
import type { StoreChange } from '#domain/ports/store.ts';
import { LineReader } from '../../http/line-reader.ts';
import type { StoreFollower } from '../watch-hub.ts';
import { toVersioned } from './encoding.ts';
import type { Endpoint } from './endpoint.ts';
import type { EtcdClient } from './etcd-client.ts';
import { EtcdFailure } from './failures.ts';
import { list, summarize } from './listing.ts';
import { Mirror, type MirrorChange } from './mirror.ts';
import { watchFrom } from './requests.ts';
import { readFrame } from './watch-frames.ts';

/** How often etcd is asked whether the stream has told everything: one that is dead looks like one on which nothing happens. */
const CHECK_EVERY_MS = 5000;
/** How long the stream may need for what has just been written. */
const GRACE_MS = 1000;
/** Between attempts, growing, while etcd is away. */
const RETRY_MS = { first: 50, longest: 1000 } as const;

/** What a stream has come to. */
type StreamEnd =
  /** It had begun: another may go on behind the last event. */
  | 'lost'
  /** It never began, or what it would go on from is not to be had. */
  | 'useless';

/**
 * Follows everything under one prefix, through whatever happens to etcd: lists it, watches from there on, goes on behind the last
 * event elsewhere, and lists again where that is not possible. Tells only what differs from what it has told.
 */
export class Follower implements StoreFollower {
  readonly #client: EtcdClient;
  readonly #root: string;
  readonly #tell: (changes: readonly StoreChange[]) => void;
  readonly #mirror = new Mirror();
  readonly #stopped = new AbortController();
  #nextListing: Promise<void> | undefined;

  constructor(client: EtcdClient, root: string, tell: (changes: readonly StoreChange[]) => void) {
    this.#client = client;
    this.#root = root;
    this.#tell = tell;
  }

  entries(): readonly StoreChange[] {
    return this.#mirror.entries().map(toChange);
  }

  stop(): void {
    this.#stopped.abort();
  }

  /** Resolves when it is stopped. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    let end: StreamEnd = 'useless';
    let failures = 0;
    while (!signal.aborted) {
      if (end === 'useless') await this.refresh();
      if (signal.aborted) return;
      const startedAt = performance.now();
      end = await this.#stream();
      failures = performance.now() - startedAt < GRACE_MS ? failures + 1 : 0;
      if (failures > 1) await this.#pause(failures);
    }
  }

  /** Resolves when everything is told that was written before this call, or when it is stopped. */
  refresh(): Promise<void> {
    // One for all who ask before it begins.
    this.#nextListing ??= Promise.resolve().then(() => {
      this.#nextListing = undefined;
      return this.#list();
    });
    return this.#nextListing;
  }

  async #list(): Promise<void> {
    const { signal } = this.#stopped;
    for (let failures = 1; !signal.aborted; failures++) {
      const askedAt = this.#mirror.revision;
      try {
        const listing = await list(this.#client, this.#root, '', this.#client.limits(signal));
        if (!signal.aborted) this.#tell(this.#mirror.reconcile(listing, askedAt).map(toChange));
        return;
      } catch {
        await this.#pause(failures);
      }
    }
  }

  async #stream(): Promise<StreamEnd> {
    const [endpoint] = this.#client.order.inOrder();
    if (endpoint === undefined) return 'useless';
    const ending = new AbortController();
    const stop = () => ending.abort();
    this.#stopped.signal.addEventListener('abort', stop, { once: true });
    let begun = false;
    const begin = setTimeout(
      () => ending.abort(new EtcdFailure('store.unavailable', 'no watch in time')),
      this.#client.timeoutMs,
    );
    const onBegun = () => {
      begun = true;
      clearTimeout(begin);
      void this.#check(endpoint, ending);
    };
    try {
      await this.#follow(endpoint, ending.signal, onBegun);
    } catch (error) {
      if (this.#stopped.signal.aborted) return 'useless';
      if (error instanceof OutOfDate) return 'useless';
    } finally {
      clearTimeout(begin);
      this.#stopped.signal.removeEventListener('abort', stop);
      ending.abort();
    }
    if (!this.#stopped.signal.aborted) this.#client.order.failed(endpoint);
    return begun ? 'lost' : 'useless';
  }

  async #follow(endpoint: Endpoint, signal: AbortSignal, onBegun: () => void): Promise<void> {
    const request = watchFrom(this.#root, this.#mirror.revision + 1);
    await endpoint.follow(request, { signal, onSent: () => {} }, () => {
      const reader = new LineReader();
      return (chunk) => {
        for (const line of reader.push(chunk)) this.#hear(line, onBegun);
      };
    });
  }

  #hear(line: string, onBegun: () => void): void {
    const frame = readFrame(line, this.#root);
    switch (frame.kind) {
      case 'created':
        if (frame.clusterId !== this.#mirror.clusterId) throw new OutOfDate();
        return onBegun();
      case 'events':
        return this.#tell(this.#mirror.apply(frame.events).map(toChange));
      case 'compacted':
        throw new OutOfDate();
    }
  }

  /** Until `ending` aborts: ends the stream when it lags behind what etcd answers. */
  async #check(endpoint: Endpoint, ending: AbortController): Promise<void> {
    const { signal } = ending;
    try {
      for (;;) {
        await pause(CHECK_EVERY_MS, undefined, { signal });
        const askedAt = this.#mirror.revision;
        const summary = await summarize(this.#client, this.#root, this.#client.limits(signal)).catch(() => undefined);
        if (summary === undefined || this.#mirror.covers(summary, askedAt)) continue;
        await pause(GRACE_MS, undefined, { signal });
        if (this.#mirror.covers(summary, askedAt)) continue;
        ending.abort(new OutOfDate());
        return this.#client.order.failed(endpoint);
      }
    } catch {
      // The stream has ended.
    }
  }

  async #pause(failures: number): Promise<void> {
    const ms = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
    await pause(ms, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }
}

/** What the mirror holds is no ground to go on from. */
class OutOfDate extends EtcdFailure {
  constructor() {
    super('store.unavailable', 'the watch is out of date');
  }
}

function toChange({ key, text, version }: MirrorChange): StoreChange {
  return { key, current: text === null ? undefined : toVersioned({ text, version }) };
}
