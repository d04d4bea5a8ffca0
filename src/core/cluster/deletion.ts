import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { Action } from './action.ts';
import type { Observed } from './observed.ts';
import { volumeOfClaim } from './volumes.ts';

/**
 * What goes when the resource does, besides what Kubernetes takes away with its owner. By `keep` nothing: volumes, Secrets and records stay,
 * and a resource of the same name finds them. By `delete` all of them, once no pod runs any more (Secrets are not listed, and go by their label). The finalizer may be taken off when
 * there are no actions left and nothing to wait for.
 */
export function deletionPlan(
  { name, spec }: PostgresCluster,
  { objects }: Pick<Observed, 'objects'>,
): {
  readonly actions: readonly Action[];
  readonly waitingFor: string | null;
} {
  if (spec.deletionPolicy === 'keep') return { actions: [], waitingFor: null };
  const names = objectNames(name);
  const because = '`deletionPolicy: delete`';
  const alive = objects.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const remove = (kinds: readonly string[], isOurs: (name: string) => boolean = () => true): readonly Action[] =>
    alive
      .filter(({ kind, metadata }) => kinds.includes(kind) && isOurs(metadata.name))
      .map(({ apiVersion, kind, metadata }) => ({
        kind: 'delete',
        object: { apiVersion, kind, name: metadata.name },
        orphan: false,
        because,
      }));
  const workloads = remove(['StatefulSet', 'Deployment']);
  if (workloads.length > 0) return { actions: workloads, waitingFor: 'the pods to end' };
  if (objects.some(({ kind }) => kind === 'Pod' || kind === 'StatefulSet')) return { actions: [], waitingFor: 'the pods to end' };
  const actions = [
    ...remove(['PersistentVolumeClaim'], (claim) => volumeOfClaim(name, claim) !== undefined),
    ...remove(['ConfigMap'], (one) => one === names.recordsConfigMap),
    ...remove(['Lease']),
  ];
  return { actions, waitingFor: null };
}
