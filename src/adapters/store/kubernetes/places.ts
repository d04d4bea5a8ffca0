import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION, API_GROUP, LABEL } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { CONFIG_MAPS, LEASES, PODS, type ResourceType } from '../../kubernetes/resources.ts';
import { fromEntryName, toEntryName } from './key-names.ts';

export const LEADER = 'leader';
const MEMBERS = 'members/';
const POD_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** The leader's record, whole, beside what `kubectl get lease` shows. */
const RECORD = `${API_GROUP}/record`;
/** Of a Lease; it is shown, and nobody's right hangs on it. */
const LEASE_SECONDS = 30;

/** An object of Kubernetes that holds keys of the store. */
export type Place =
  | { readonly kind: 'leader'; readonly name: string }
  | { readonly kind: 'records'; readonly name: string }
  /** A member's own pod, which the store does not make. */
  | { readonly kind: 'pod'; readonly name: string };

export interface Layout {
  readonly cluster: string;
  /** Members' records stand on their own pods. */
  readonly pods: boolean;
}

export const TYPES: Readonly<Record<Place['kind'], ResourceType>> = { leader: LEASES, records: CONFIG_MAPS, pod: PODS };

export function leaderPlace({ cluster }: Layout): Place {
  return { kind: 'leader', name: objectNames(cluster).leaderLease };
}

export function recordsPlace({ cluster }: Layout): Place {
  return { kind: 'records', name: objectNames(cluster).recordsConfigMap };
}

export function placeOf(key: string, layout: Layout): Place {
  if (key === LEADER) return leaderPlace(layout);
  const member = key.slice(MEMBERS.length);
  if (layout.pods && key.startsWith(MEMBERS) && POD_NAME.test(member)) return { kind: 'pod', name: member };
  return recordsPlace(layout);
}

export function memberPods({ cluster }: Layout): string {
  return `${LABEL.cluster}=${cluster},${LABEL.component}=postgresql`;
}

/** Is the pod one of the cluster's members? Another cluster's may have the name of a member that has left. */
export function isMemberPod({ metadata: { labels } }: KubeObject, { cluster }: Layout): boolean {
  return labels?.[LABEL.cluster] === cluster && labels[LABEL.component] === 'postgresql';
}

/** May keys under `prefix` stand on members' pods, or be the leader's record? */
export function reaches(prefix: string, kind: 'leader' | 'pod'): boolean {
  const reached = kind === 'leader' ? LEADER : MEMBERS;
  return reached.startsWith(prefix) || (kind === 'pod' && prefix.startsWith(MEMBERS));
}

/** The texts that stand in an object, by key. */
export function textsIn(kind: Place['kind'], { metadata, data }: KubeObject): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  const put = (key: string | undefined, text: unknown) => {
    if (key !== undefined && typeof text === 'string') texts.set(key, text);
  };
  switch (kind) {
    case 'leader':
      put(LEADER, metadata.annotations?.[RECORD]);
      break;
    case 'pod':
      put(MEMBERS + metadata.name, metadata.annotations?.[ANNOTATION.member]);
      break;
    case 'records':
      for (const [name, text] of Object.entries((data ?? {}) as object)) put(fromEntryName(name), text);
  }
  return texts;
}

export interface Write {
  readonly key: string;
  /** Null: it goes. */
  readonly text: string | null;
  readonly value: unknown;
  /** Keys that have expired: they go with it. */
  readonly expired: readonly string[];
}

/** A merge patch that holds for exactly one version of the object. */
export function patchOf(kind: Place['kind'], resourceVersion: string, write: Write): unknown {
  const { text } = write;
  switch (kind) {
    case 'leader':
      return { metadata: { resourceVersion, annotations: { [RECORD]: text } }, spec: leaseSpec(write) };
    case 'pod':
      return { metadata: { resourceVersion, annotations: { [ANNOTATION.member]: text } } };
    case 'records':
      return { metadata: { resourceVersion }, data: entriesOf(write) };
  }
}

/** The object with its first key; undefined for one that is not the store's to make. */
export function objectWith(place: Place, write: Write, { cluster }: Layout): KubeObject | undefined {
  const metadata = { name: place.name, labels: { [LABEL.cluster]: cluster } };
  switch (place.kind) {
    case 'leader': {
      const annotations = { [RECORD]: write.text ?? '' };
      return {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { ...metadata, annotations },
        spec: leaseSpec(write),
      };
    }
    case 'records':
      return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: entriesOf(write) };
    case 'pod':
      return undefined;
  }
}

function entriesOf({ key, text, expired }: Write): Readonly<Record<string, string | null>> {
  const gone = Object.fromEntries(expired.map((other) => [toEntryName(other), null]));
  return { ...gone, [toEntryName(key)]: text };
}

/** For people and their tools: who leads, since when it was last written, and the epoch as the number of transitions. */
function leaseSpec({ value }: Write) {
  const { member, epoch } = (value ?? {}) as { readonly member?: unknown; readonly epoch?: unknown };
  return {
    holderIdentity: typeof member === 'string' ? member : null,
    leaseDurationSeconds: LEASE_SECONDS,
    leaseTransitions: Number.isSafeInteger(epoch) ? epoch : null,
    // A `MicroTime` has exactly six digits; with three it is refused.
    renewTime: new Date().toISOString().replace('Z', '000Z'),
  };
}
