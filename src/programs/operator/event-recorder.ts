import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';

const EVENT = resourceTypeOf({ apiVersion: 'v1', kind: 'Event' });
/** The same again within this is not news. */
const REPEAT_MS = 600_000;
const MAX_REMEMBERED = 2000;
const MAX_MESSAGE = 1000;

export interface Told {
  readonly type: 'Normal' | 'Warning';
  /** In camel case, for programs. */
  readonly reason: string;
  readonly message: string;
}

/** What the operator does with a resource and why, as `kubectl describe` shows it. */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #told = new Map<string, number>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Its loss is no failure. */
  tell({ apiVersion, kind, metadata }: KubeObject, { type, reason, message }: Told): void {
    const { name, namespace, uid } = metadata;
    const text = `${uid} ${reason} ${message}`;
    const now = performance.now();
    if (now - (this.#told.get(text) ?? -Infinity) < REPEAT_MS) return;
    this.#told.delete(text);
    this.#told.set(text, now);
    const [oldest] = this.#told.keys();
    if (this.#told.size > MAX_REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
    const at = new Date().toISOString().replace(/\.\d+/, '');
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${name}.${Date.now().toString(16)}${Math.floor(Math.random() * 0x10000).toString(16)}`,
        ...(namespace === undefined ? {} : { namespace }),
      },
      involvedObject: { apiVersion, kind, name, namespace, uid },
      type,
      reason,
      message: message.slice(0, MAX_MESSAGE),
      source: { component: OPERATOR.name },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    };
    this.#client.create(EVENT, namespace, event).catch(() => {});
  }
}
