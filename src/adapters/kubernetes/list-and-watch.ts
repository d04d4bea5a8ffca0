import { setTimeout as pause } from 'node:timers/promises';
import { KubeFailure, refusal } from './failures.ts';
import type { KubeClient } from './kube-client.ts';
import { type KubeObject, pathOf, type ResourceType, revisionOf, type Selectors } from './resources.ts';

/** The server ends a watch after so long, a random time between the two, so that not all of them begin anew at once. */
const WATCH_SECONDS = { shortest: 240, longest: 480 } as const;
/** Bookmarks come about once a minute: a stream on which nothing at all has come for so long is dead. */
const QUIET_MS = 150_000;
/** A stream that lasts shorter was none. */
const SHORT_MS = 1000;
/** Between attempts, growing, while the server is away. */
const RETRY_MS = { first: 50, longest: 2000 } as const;

export interface Collection {
  readonly type: ResourceType;
  /** Undefined: over all namespaces. */
  readonly namespace: string | undefined;
  readonly selectors: Selectors;
}

export interface CollectionListener {
  /** All that there is, whenever that had to be asked for. */
  onList(items: readonly KubeObject[]): void;
  onChange(object: KubeObject): void;
  /** It is gone, or no longer selected; its last state. */
  onGone(object: KubeObject): void;
  /** Whether the server answers; told when that changes. */
  onAnswering?(failure: Error | undefined): void;
}

type StreamEnd =
  /** It had begun: another may go on behind the last event. */
  | 'lost'
  /** Nobody was there. Whoever comes back may have been restored from a copy, and would then stay silent for a long time. */
  | 'away'
  /** What it would go on from is not to be had. */
  | 'useless';

/**
 * Follows a collection through whatever happens to its server: lists it, watches from there on, goes on behind the last event, and
 * lists again where that is not possible. Nothing is told in an order in which it did not happen.
 */
export class ListAndWatch {
  readonly #client: KubeClient;
  readonly #collection: Collection;
  readonly #listener: CollectionListener;
  readonly #stopped = new AbortController();
  #revision = 0;
  #nextListing: Promise<void> | undefined;
  #streaming: AbortController | undefined;
  #failing: boolean | undefined;

  constructor(client: KubeClient, collection: Collection, listener: CollectionListener) {
    this.#client = client;
    this.#collection = collection;
    this.#listener = listener;
    client.closing.addEventListener('abort', () => this.stop(), { once: true });
  }

  stop(): void {
    this.#stopped.abort();
    this.#streaming?.abort();
  }

  /** Resolves when it is stopped. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    let end: StreamEnd = 'useless';
    let failures = 0;
    while (!signal.aborted) {
      if (end === 'useless' || (end === 'away' && !(await this.#isBack()))) await this.refresh();
      if (signal.aborted) return;
      const startedAt = performance.now();
      end = await this.#stream();
      failures = performance.now() - startedAt < SHORT_MS ? failures + 1 : 0;
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
    const { type, namespace, selectors } = this.#collection;
    for (let failures = 1; !signal.aborted; failures++) {
      const askedAt = this.#revision;
      try {
        const { resourceVersion, items } = await this.#client.list(type, namespace, selectors, { signal });
        this.#answering(undefined);
        if (!signal.aborted) this.#take(items, toRevision(resourceVersion), askedAt);
        return;
      } catch (error) {
        if (signal.aborted) return;
        this.#answering(error as Error);
        await this.#pause(failures, error);
      }
    }
  }

  /** `askedAt`: how far the stream was then. A list from before that is of a server that was restored from a copy: it counts. */
  #take(items: readonly KubeObject[], revision: number, askedAt: number): void {
    const isOther = revision < askedAt;
    // The stream has overtaken it.
    if (!isOther && revision < this.#revision) return;
    this.#revision = revision;
    if (isOther) this.#streaming?.abort(new OutOfDate());
    this.#listener.onList(items);
  }

  async #stream(): Promise<StreamEnd> {
    const ending = new AbortController();
    this.#streaming = ending;
    if (this.#stopped.signal.aborted) return 'useless';
    const silence = new KubeFailure('kubernetes.unavailable', 'the watch went silent');
    const silent = () => ending.abort(silence);
    let begun = false;
    let timer = setTimeout(silent, this.#client.timeoutMs);
    const heard = () => {
      begun = true;
      clearTimeout(timer);
      timer = setTimeout(silent, QUIET_MS);
    };
    try {
      await this.#client.watch(this.#path(), ending.signal, heard, (line) => {
        heard();
        this.#hear(line);
      });
    } catch (error) {
      if (this.#stopped.signal.aborted || error instanceof OutOfDate) return 'useless';
      if (error instanceof KubeFailure && error.retryAfterMs !== undefined) await this.#pause(1, error);
    } finally {
      clearTimeout(timer);
      this.#streaming = undefined;
    }
    return begun ? 'lost' : 'away';
  }

  /** Resolves when somebody answers: is it as far as the one before? */
  async #isBack(): Promise<boolean> {
    const { signal } = this.#stopped;
    const { type, namespace, selectors } = this.#collection;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const revision = toRevision(await this.#client.resourceVersion(type, namespace, selectors, { signal }));
        this.#answering(undefined);
        return revision >= this.#revision;
      } catch (error) {
        if (signal.aborted) break;
        this.#answering(error as Error);
        await this.#pause(failures, error);
      }
    }
    return true;
  }

  #path(): string {
    const { type, namespace, selectors } = this.#collection;
    const { shortest, longest } = WATCH_SECONDS;
    const query = new URLSearchParams({
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: String(this.#revision),
      timeoutSeconds: String(Math.round(shortest + Math.random() * (longest - shortest))),
    });
    if (selectors.labels !== undefined) query.set('labelSelector', selectors.labels);
    if (selectors.fields !== undefined) query.set('fieldSelector', selectors.fields);
    return `${pathOf(type, namespace)}?${query}`;
  }

  #hear(line: string): void {
    const { type, object } = readEvent(line);
    if (type === 'ERROR') {
      const { code, message } = object as unknown as { code?: unknown; message?: unknown };
      if (code === 410) throw new OutOfDate();
      const answer = { reason: '', message: String(message), fields: [], retryAfterMs: undefined };
      throw refusal(Number(code), answer);
    }
    const revision = toRevision(object.metadata?.resourceVersion);
    // A listing has told it already.
    if (revision <= this.#revision) return;
    this.#revision = revision;
    if (type === 'ADDED' || type === 'MODIFIED') this.#listener.onChange(object);
    else if (type === 'DELETED') this.#listener.onGone(object);
  }

  #answering(failure: Error | undefined): void {
    const failing = failure !== undefined;
    if (failing === this.#failing) return;
    this.#failing = failing;
    this.#listener.onAnswering?.(failure);
  }

  async #pause(failures: number, error?: unknown): Promise<void> {
    const asked = error instanceof KubeFailure ? error.retryAfterMs : undefined;
    const growing = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
    await pause(asked ?? growing, undefined, { signal: this.#stopped.signal }).catch(() => {});
  }
}

/** What was told is no ground to go on from. */
class OutOfDate extends KubeFailure {
  constructor() {
    super('kubernetes.expired', 'the watch is out of date');
  }
}

function readEvent(line: string): { readonly type: unknown; readonly object: KubeObject } {
  try {
    const { type, object } = JSON.parse(line) as { type?: unknown; object?: unknown };
    if (typeof object === 'object' && object !== null) return { type, object: object as KubeObject };
  } catch {
    // Told below.
  }
  throw new KubeFailure('kubernetes.unavailable', `no event of a watch: ${JSON.stringify(line.slice(0, 80))}`);
}

function toRevision(resourceVersion: unknown): number {
  const revision = revisionOf(resourceVersion);
  if (revision === undefined)
    throw new KubeFailure('kubernetes.unavailable', `${JSON.stringify(resourceVersion)} is no resource version to go on from`);
  return revision;
}
