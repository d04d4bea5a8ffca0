import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { parseResourceQuantity } from '#domain/kubernetes/resource-quantity.ts';
import type { Refusal } from './action.ts';
import { claimFacts, setFacts } from './member-facts.ts';

export interface StorageStep {
  /** What the StatefulSet's template is to say. */
  readonly size: string;
  readonly storageClass: string | undefined;
  /** Claims that ask for less. */
  readonly grow: readonly string[];
  /** Kubernetes changes no template of claims: the StatefulSet has to be made anew, around its pods. */
  readonly recreate: boolean;
  readonly refused: readonly Refusal[];
}

const bytes = (size: string) => parseResourceQuantity(size) ?? 0;

/** Volumes grow; what shrinks or changes its class is refused, and stays as it is. */
export function storageStep(cluster: PostgresCluster, objects: readonly KubeObject[]): StorageStep {
  const { size, storageClass } = cluster.spec.storage;
  const set = setFacts(cluster.name, objects);
  const claims = claimFacts(cluster.name, objects);
  const refused: Refusal[] = [];
  const largest = [set?.size ?? size, ...claims.map(({ requested }) => requested)].reduce((one, other) =>
    bytes(other) > bytes(one) ? other : one,
  );
  const shrinks = bytes(size) < bytes(largest);
  if (shrinks)
    refused.push({
      field: 'spec.storage.size',
      message: `a volume cannot shrink from ${largest} to ${size}; make a smaller cluster beside it and move the data by pg_dump or logical replication`,
    });
  const made = set !== undefined || claims.length > 0;
  const present = set === undefined ? claims[0]?.storageClass : set.storageClass;
  const otherClass = made && storageClass !== undefined && storageClass !== present;
  if (otherClass)
    refused.push({
      field: 'spec.storage.storageClass',
      message: `cannot be changed from ${present ?? 'the default one'} to ${storageClass}; make a cluster of that class beside it and move the data`,
    });
  const target = shrinks ? largest : size;
  return {
    size: target,
    storageClass: set === undefined && !otherClass ? storageClass : present,
    grow: claims.filter(({ requested }) => bytes(requested) < bytes(target)).map(({ name }) => name),
    recreate: set?.size !== undefined && bytes(set.size) !== bytes(target),
    refused,
  };
}
