import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { type Component, clusterObject, selectorOf } from './object.ts';
import type { Surroundings } from './surroundings.ts';

/** One member and one proxy at a time may be evicted: a drain of nodes waits until the one before is back. */
export function budgetObjects(cluster: PostgresCluster, { serves }: Pick<Surroundings, 'serves'>): readonly KubeObject[] {
  const names = objectNames(cluster.name);
  const budget = (name: string, component: Component) =>
    clusterObject(
      cluster,
      serves.budgets,
      'PodDisruptionBudget',
      name,
      { spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(cluster, component) } } },
      { component },
    );
  return [
    budget(names.membersBudget, 'postgresql'),
    ...(cluster.spec.proxy.replicas > 0 ? [budget(names.proxyBudget, 'proxy')] : []),
  ];
}
