import { setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LineReader } from '../http/line-reader.ts';
import type { KubeAccess } from './access.ts';
import { readJson, readObject, readStatus } from './answers.ts';
import { Connection, type RawAnswer } from './connection.ts';
import { KubeFailure, refusal } from './failures.ts';
import { pathOf, type ResourceType, type Selectors } from './resources.ts';

/** How long a call may take, with all its attempts. */
const DEFAULT_TIMEOUT_MS = 10_000;
/** Between attempts, doubling, unless the server says how long. */
const RETRY_MS = { first: 25, longest: 1000 } as const;
/** Calls that may be under way. */
const MAX_OUTSTANDING = 1000;
const PAGE = 250;
/** Lists that are begun anew because the server forgot the first page over the last ones. */
const MAX_LIST_ATTEMPTS = 3;

export type PatchKind = 'merge' | 'json';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** For the whole call. */
  readonly timeoutMs?: number | undefined;
}

export interface KubeList {
  readonly resourceVersion: string;
  readonly items: readonly KubeObject[];
}

export interface ApplyOptions extends CallOptions {
  /** Who owns the fields from now on. */
  readonly fieldManager: string;
}

interface Request extends CallOptions {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
  /** True: carried out twice it does no harm. */
  readonly repeatable: boolean;
}

/**
 * An API server of Kubernetes. Every call rejects with KubeFailure by its deadline, or with the reason of its signal. What the server
 * did not take on (429, no connection) is sent again until then, what is repeatable after a 5xx and a cut connection, too.
 */
export class KubeClient {
  readonly namespace: string;
  readonly timeoutMs: number;
  readonly #connection: Connection;
  readonly #closing = new AbortController();
  #outstanding = 0;

  constructor(access: KubeAccess, { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {}) {
    this.namespace = access.namespace;
    this.timeoutMs = timeoutMs;
    this.#connection = new Connection(access);
  }

  /** Aborts when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Any path that answers JSON, such as `/apis`. `accept`: as what, where that is not an object. */
  async read(path: string, options: CallOptions & { readonly accept?: string } = {}): Promise<unknown> {
    return readJson(await this.#call({ method: 'GET', path, repeatable: true, ...options }));
  }

  /** The newest state; undefined when there is no such object. */
  async get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<KubeObject | undefined> {
    try {
      return readObject(await this.#call({ method: 'GET', path: pathOf(type, namespace, name), repeatable: true, ...options }));
    } catch (error) {
      if (error instanceof KubeFailure && error.code === 'kubernetes.notFound') return undefined;
      throw error;
    }
  }

  /** Everything at one moment, read in pages. */
  async list(
    type: ResourceType,
    namespace: string | undefined,
    selectors: Selectors = {},
    options: CallOptions = {},
  ): Promise<KubeList> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#listOnce(type, namespace, selectors, options);
      } catch (error) {
        const forgotten = error instanceof KubeFailure && error.code === 'kubernetes.expired';
        if (!forgotten || attempt >= MAX_LIST_ATTEMPTS) throw error;
      }
    }
  }

  /** How far a collection is. */
  async resourceVersion(
    type: ResourceType,
    namespace: string | undefined,
    selectors: Selectors = {},
    options: CallOptions = {},
  ): Promise<string> {
    return (await this.#page(type, namespace, selectors, { limit: 1 }, options)).resourceVersion;
  }

  async create(
    type: ResourceType,
    namespace: string | undefined,
    object: KubeObject,
    options: CallOptions = {},
  ): Promise<KubeObject> {
    return this.#write({ method: 'POST', path: pathOf(type, namespace), body: object, repeatable: false, ...options });
  }

  /** Rejects with `kubernetes.conflict` unless `object` names the resource version that stands. */
  async replace(
    type: ResourceType,
    namespace: string | undefined,
    object: KubeObject,
    options: CallOptions & { readonly subresource?: string } = {},
  ): Promise<KubeObject> {
    const path = pathOf(type, namespace, object.metadata.name, options.subresource);
    return this.#write({ method: 'PUT', path, body: object, repeatable: false, ...options });
  }

  /** With `metadata.resourceVersion` in a merge patch it rejects with `kubernetes.conflict` when another version stands. */
  async patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    kind: PatchKind,
    patch: unknown,
    options: CallOptions & { readonly subresource?: string } = {},
  ): Promise<KubeObject> {
    const path = pathOf(type, namespace, name, options.subresource);
    const contentType = kind === 'merge' ? 'application/merge-patch+json' : 'application/json-patch+json';
    return this.#write({ method: 'PATCH', path, body: patch, contentType, repeatable: false, ...options });
  }

  /** Server-side apply; takes over fields that somebody else owns. The server writes nothing when nothing differs. */
  async apply(type: ResourceType, namespace: string | undefined, object: KubeObject, options: ApplyOptions): Promise<KubeObject> {
    const query = new URLSearchParams({ fieldManager: options.fieldManager, force: 'true' });
    const path = `${pathOf(type, namespace, object.metadata.name)}?${query}`;
    // JSON is YAML, and the only media type of an apply that every server knows.
    const contentType = 'application/apply-patch+yaml';
    return this.#write({ method: 'PATCH', path, body: object, contentType, repeatable: true, ...options });
  }

  /** Nothing happens when there is no such object. `body`: DeleteOptions. */
  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions & { readonly body?: unknown } = {},
  ): Promise<void> {
    try {
      await this.#call({ method: 'DELETE', path: pathOf(type, namespace, name), repeatable: true, ...options });
    } catch (error) {
      if (!(error instanceof KubeFailure) || error.code !== 'kubernetes.notFound') throw error;
    }
  }

  /** Every object that is selected, without a look at any. */
  async deleteAll(type: ResourceType, namespace: string | undefined, labels: string, options: CallOptions = {}): Promise<void> {
    const path = `${pathOf(type, namespace)}?${new URLSearchParams({ labelSelector: labels })}`;
    await this.#call({ method: 'DELETE', path, repeatable: true, ...options });
  }

  /**
   * Follows a collection from a resource version on; `onLine` is called with each line of the answer. Resolves when the server ends
   * the stream, rejects with KubeFailure, with what `onLine` throws as its cause, or with the signal's reason.
   */
  async watch(path: string, signal: AbortSignal, onBegun: () => void, onLine: (line: string) => void): Promise<void> {
    const either = AbortSignal.any([signal, this.closing]);
    const refused: Buffer[] = [];
    const call = { method: 'GET', path, headers: {}, signal: either };
    const head = await this.#connection.stream(call, ({ status }) => {
      if (status !== 200) return (chunk) => void (refused.length < 16 && refused.push(chunk));
      onBegun();
      const reader = new LineReader(MAX_LINE_BYTES);
      return (chunk) => {
        for (const line of reader.push(chunk)) onLine(line);
      };
    });
    if (head.status === 200) return;
    if (head.status === 401) this.#connection.outdated();
    throw refusal(head.status, readStatus({ ...head, text: Buffer.concat(refused).toString('utf8') }));
  }

  close(): void {
    this.#closing.abort();
    this.#connection.close();
  }

  async #listOnce(
    type: ResourceType,
    namespace: string | undefined,
    selectors: Selectors,
    options: CallOptions,
  ): Promise<KubeList> {
    const items: KubeObject[] = [];
    for (let from: string | undefined; ; ) {
      const page = await this.#page(type, namespace, selectors, { limit: PAGE, from }, options);
      items.push(...page.items);
      if (page.next === undefined) return { resourceVersion: page.resourceVersion, items };
      from = page.next;
    }
  }

  async #page(
    type: ResourceType,
    namespace: string | undefined,
    { labels, fields }: Selectors,
    { limit, from }: { readonly limit: number; readonly from?: string | undefined },
    options: CallOptions,
  ): Promise<KubeList & { readonly next: string | undefined }> {
    const query = new URLSearchParams({ limit: String(limit) });
    if (labels !== undefined) query.set('labelSelector', labels);
    if (fields !== undefined) query.set('fieldSelector', fields);
    if (from !== undefined) query.set('continue', from);
    const { apiVersion, kind, metadata, items } = (await this.read(`${pathOf(type, namespace)}?${query}`, options)) as {
      readonly apiVersion?: unknown;
      readonly kind?: unknown;
      readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown };
      readonly items?: unknown;
    };
    const resourceVersion = metadata?.resourceVersion;
    if (typeof resourceVersion !== 'string' || (items != null && !Array.isArray(items)))
      throw new KubeFailure('kubernetes.unavailable', 'what answers there is no API server: an answer that is no list');
    const next = typeof metadata?.continue === 'string' && metadata.continue !== '' ? metadata.continue : undefined;
    // In a list, the objects do not say of which kind they are.
    const common = { apiVersion: String(apiVersion), kind: String(kind).replace(/List$/, '') };
    return { resourceVersion, items: (items ?? []).map((item: object) => ({ ...common, ...item }) as KubeObject), next };
  }

  async #write(request: Request): Promise<KubeObject> {
    return readObject(await this.#call(request));
  }

  async #call(request: Request): Promise<RawAnswer> {
    const { signal, timeoutMs = this.timeoutMs } = request;
    signal?.throwIfAborted();
    if (this.closing.aborted) throw new KubeFailure('kubernetes.unavailable', 'the client was closed');
    if (this.#outstanding >= MAX_OUTSTANDING) throw new KubeFailure('kubernetes.unavailable', 'too many requests are waiting');
    const deadline = AbortSignal.timeout(timeoutMs);
    const either = AbortSignal.any([deadline, this.closing, ...(signal === undefined ? [] : [signal])]);
    this.#outstanding += 1;
    const startedAt = performance.now();
    try {
      return await this.#attempt(request, either);
    } catch (error) {
      signal?.throwIfAborted();
      if (this.closing.aborted) throw new KubeFailure('kubernetes.unavailable', 'the client was closed');
      if (deadline.aborted) this.#connection.wentSilent(startedAt);
      if (error !== either.reason) throw error;
      throw new KubeFailure('kubernetes.unavailable', `no answer within ${timeoutMs} ms`);
    } finally {
      this.#outstanding -= 1;
    }
  }

  /** Until it works, fails for good, or `signal` aborts; then the last failure tells more than that there was no time. */
  async #attempt(request: Request, signal: AbortSignal): Promise<RawAnswer> {
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      let failure: KubeFailure;
      try {
        return await this.#once(request, signal);
      } catch (error) {
        if (!(error instanceof KubeFailure)) throw error;
        failure = error;
      }
      const isOutdated = failure.status === 401 || failure.code === 'kubernetes.untrusted';
      if (isOutdated && !renewed) {
        renewed = true;
        this.#connection.outdated();
        continue;
      }
      if (!isTransient(failure) || !(failure.harmless || request.repeatable)) throw failure;
      const growing = Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(attempt, 10)) * (0.5 + Math.random() / 2);
      await pause(failure.retryAfterMs ?? growing, undefined, { signal }).catch(() => {
        throw failure;
      });
    }
  }

  async #once(
    { method, path, body, contentType = 'application/json', accept }: Request,
    signal: AbortSignal,
  ): Promise<RawAnswer> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      ...(accept === undefined ? {} : { accept }),
      ...(payload === undefined ? {} : { 'content-type': contentType }),
    };
    const answer = await this.#connection.exchange({ method, path, payload, headers, signal });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw refusal(answer.status, readStatus(answer));
  }
}

/** A ConfigMap of 1 MiB, escaped. */
const MAX_LINE_BYTES = 16 << 20;

function isTransient({ code, status }: KubeFailure): boolean {
  return code === 'kubernetes.unavailable' && (status === 0 || status === 429 || status >= 500);
}
