import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import type { ResourceType } from '../resources.ts';

type Json = Record<string, unknown>;

/**
 * The custom resources of one kind, in memory, in front of a real API server: builds of kube-apiserver 1.20 with a Go from 1.18 on crash
 * at the first custom resource (their copy of `reflect2` iterates maps as older Go did). No defaults, no validation: for controllers that
 * do both themselves. Without pages, selectors and server-side apply.
 */
export class CustomResources {
  readonly #root: RegExp;
  readonly #objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<{ readonly namespace: string | undefined; readonly response: ServerResponse }>();
  #revision = 1;

  constructor({ group, version, plural }: ResourceType) {
    this.#root = new RegExp(`^/apis/${group}/${version}(?:/namespaces/([^/?]+))?/${plural}(?:/([^/?]+))?(/status)?(?:\\?(.*))?$`);
  }

  /** False: not about these. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const match = this.#root.exec(request.url ?? '');
    if (match === null) return false;
    const [, namespace, name, , query] = match;
    if (new URLSearchParams(query).get('watch') === 'true') this.#watch(namespace, response);
    else void readAll(request).then((body) => this.#answer(request.method, namespace, name, body, response));
    return true;
  }

  #answer(method: string | undefined, namespace = '', name: string | undefined, body: Json, response: ServerResponse): void {
    const key = `${namespace}/${name}`;
    const known = this.#objects.get(key);
    if (method === 'POST') return reply(response, 201, this.#put(created(body, namespace), 'ADDED'));
    if (name === undefined) {
      const items = [...this.#objects.values()].filter(({ metadata }) => metadata.namespace === namespace);
      return reply(response, 200, { metadata: { resourceVersion: String(this.#revision) }, items });
    }
    if (known === undefined) return reply(response, 404, { kind: 'Status', message: `no ${key}` });
    if (method === 'PATCH') return reply(response, 200, this.#patch(known, body));
    if (method === 'DELETE') this.#delete(known);
    return reply(response, 200, known);
  }

  #patch(known: KubeObject, body: Json): KubeObject {
    const next = merge(known, body) as unknown as KubeObject;
    const generation = Number(known.metadata.generation) + (JSON.stringify(next.spec) === JSON.stringify(known.spec) ? 0 : 1);
    const changed = { ...next, metadata: { ...next.metadata, generation } };
    if (known.metadata.deletionTimestamp === undefined || finalizers(changed) > 0) return this.#put(changed, 'MODIFIED');
    this.#objects.delete(keyOf(changed));
    return this.#tell(changed, 'DELETED');
  }

  #delete(known: KubeObject): void {
    if (finalizers(known) > 0) {
      this.#put({ ...known, metadata: { ...known.metadata, deletionTimestamp: new Date().toISOString() } }, 'MODIFIED');
      return;
    }
    this.#objects.delete(keyOf(known));
    this.#tell(known, 'DELETED');
  }

  #put(object: KubeObject, type: string): KubeObject {
    const told = this.#tell(object, type);
    this.#objects.set(keyOf(told), told);
    return told;
  }

  #tell(object: KubeObject, type: string): KubeObject {
    this.#revision += 1;
    const told = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#revision) } };
    for (const { namespace, response } of this.#watchers)
      if (namespace === told.metadata.namespace) response.write(`${JSON.stringify({ type, object: told })}\n`);
    return told;
  }

  #watch(namespace: string | undefined, response: ServerResponse): void {
    const watcher = { namespace, response };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
  }
}

function created(body: Json, namespace: string): KubeObject {
  const { metadata } = body as unknown as KubeObject;
  return { ...(body as unknown as KubeObject), metadata: { ...metadata, namespace, uid: randomUUID(), generation: 1 } };
}

function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Json = { ...((typeof target === 'object' && !Array.isArray(target) ? target : {}) as Json) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}

function finalizers({ metadata }: KubeObject): number {
  return Array.isArray(metadata.finalizers) ? metadata.finalizers.length : 0;
}

function keyOf({ metadata: { namespace, name } }: KubeObject): string {
  return `${namespace}/${name}`;
}

async function readAll(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json);
}

function reply(response: ServerResponse, status: number, json: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
}
