import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { MemberName } from '#domain/member.ts';
import type { MemberView, Observed } from './observed.ts';
import { ordinalOf } from './ordinal-of.ts';
import { VOLUMES, type Volume, volumeOfClaim } from './volumes.ts';

// Reads what the plan needs out of objects as the API server has them.

type Fields = Readonly<Record<string, unknown>>;

export interface MemberFacts {
  readonly name: MemberName;
  readonly ordinal: number;
  readonly ready: boolean;
  readonly ending: boolean;
  /** It runs by the StatefulSet's present template. */
  readonly current: boolean;
  readonly view: MemberView | undefined;
}

export interface SetFacts {
  readonly replicas: number;
  /** By the templates of claims. */
  readonly volumes: Readonly<Partial<Record<Volume, { readonly size: string; readonly storageClass: string | undefined }>>>;
  /** The controller has seen the present template; `updateRevision` before that is an old one. */
  readonly settled: boolean;
  readonly ending: boolean;
}

export function find(objects: readonly KubeObject[], kind: string, name: string): KubeObject | undefined {
  return objects.find((object) => object.kind === kind && object.metadata.name === name);
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

export function setFacts(cluster: string, objects: readonly KubeObject[]): SetFacts | undefined {
  const found = find(objects, 'StatefulSet', objectNames(cluster).statefulSet);
  if (found === undefined) return undefined;
  const spec = fieldsOf(found.spec);
  const templates = ((spec.volumeClaimTemplates ?? []) as readonly unknown[]).map(fieldsOf);
  return {
    replicas: Number(spec.replicas ?? 1),
    volumes: Object.fromEntries(
      VOLUMES.flatMap((volume) => {
        const template = templates.find(({ metadata }) => fieldsOf(metadata).name === volume);
        return template === undefined ? [] : [[volume, requestOf(template.spec)] as const];
      }),
    ),
    settled: Number(fieldsOf(found.status).observedGeneration ?? 0) >= (found.metadata.generation ?? 0),
    ending: found.metadata.deletionTimestamp !== undefined,
  };
}

/** The members that have a pod, by ordinal. */
export function memberFacts(cluster: string, { objects, views }: Observed): readonly MemberFacts[] {
  const set = find(objects, 'StatefulSet', objectNames(cluster).statefulSet);
  const revision = fieldsOf(set?.status).updateRevision;
  return objects
    .filter(({ kind, metadata }) => kind === 'Pod' && metadata.labels?.[LABEL.component] === 'postgresql')
    .flatMap((pod) => {
      const { name, labels, deletionTimestamp } = pod.metadata;
      const ordinal = ordinalOf(cluster, name);
      if (ordinal === undefined) return [];
      const conditions = (fieldsOf(pod.status).conditions ?? []) as readonly { readonly type: string; readonly status: string }[];
      return {
        name,
        ordinal,
        ready: conditions.some(({ type, status }) => type === 'Ready' && status === 'True'),
        ending: deletionTimestamp !== undefined,
        current: labels?.['controller-revision-hash'] === revision,
        view: views[name],
      };
    })
    .sort((one, other) => one.ordinal - other.ordinal);
}

export interface ClaimFacts {
  readonly name: string;
  readonly volume: Volume;
  readonly requested: string;
  readonly storageClass: string | undefined;
}

export function claimFacts(cluster: string, objects: readonly KubeObject[]): readonly ClaimFacts[] {
  return objects.flatMap(({ kind, metadata, spec }) => {
    const volume = kind === 'PersistentVolumeClaim' ? volumeOfClaim(cluster, metadata.name) : undefined;
    if (volume === undefined) return [];
    const { size, storageClass } = requestOf(spec);
    return [{ name: metadata.name, volume, requested: size, storageClass }];
  });
}

function requestOf(claim: unknown) {
  const { resources, storageClassName } = fieldsOf(claim);
  const { storage } = fieldsOf(fieldsOf(resources).requests);
  return { size: String(storage ?? '0'), storageClass: storageClassName as string | undefined };
}

/** It leads, or follows as it should. */
export function isWell({ ready, ending, view }: MemberFacts): boolean {
  return ready && !ending && (view?.state === 'primary' || view?.state === 'streaming');
}
