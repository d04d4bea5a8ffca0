import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { parseResourceQuantity } from '#domain/kubernetes/resource-quantity.ts';

/**
 * Does the API server's object lack something of the wanted one? What others added, and what the server filled in, is no difference; lists
 * are wanted whole. Quantities are compared as numbers, since the server writes `1000m` as `1`.
 */
export function needsApply(live: KubeObject | undefined, wanted: KubeObject): boolean {
  return live === undefined || !covers(live, wanted);
}

function covers(live: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return Array.isArray(live) && live.length === wanted.length && wanted.every((item, index) => covers(live[index], item));
  if (typeof wanted === 'object' && wanted !== null) {
    const entries = Object.entries(wanted).filter(([, value]) => value !== undefined);
    const fields = (live ?? {}) as Readonly<Record<string, unknown>>;
    return typeof fields === 'object' && entries.every(([key, value]) => covers(fields[key], value));
  }
  // An empty text, a zero and false are left out on the wire.
  if (live === undefined) return wanted === '' || wanted === 0 || wanted === false || wanted === undefined;
  return live === wanted || isSameQuantity(live, wanted);
}

function isSameQuantity(live: unknown, wanted: unknown): boolean {
  if (typeof live !== 'string' || typeof wanted !== 'string') return false;
  const [one, other] = [parseResourceQuantity(live), parseResourceQuantity(wanted)];
  return one !== undefined && one === other;
}
