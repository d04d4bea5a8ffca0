import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { clusterConfigOf, type PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { accessObjects, recordObjects } from './access-objects.ts';
import { budgetObjects } from './budget-objects.ts';
import { configObject } from './config-object.ts';
import { monitorObjects } from './monitor-objects.ts';
import { proxyDeployment } from './proxy-deployment.ts';
import { serviceObjects } from './service-objects.ts';
import { type StatefulSetState, statefulSet } from './stateful-set.ts';
import type { Surroundings } from './surroundings.ts';

/** A step on the way to what the resource asks for. Absent: the end of the way. */
export interface Step {
  readonly set?: StatefulSetState;
  readonly config?: ClusterConfig;
}

/**
 * Every object of a cluster but for its Secrets (`secretObjects`), in the order in which they are made: what somebody needs comes before
 * him.
 */
export function desired(cluster: PostgresCluster, surroundings: Surroundings, step: Step = {}): readonly KubeObject[] {
  const { spec } = cluster;
  const { storage: data, walStorage: wal } = spec;
  const state = step.set ?? {
    replicas: spec.instances,
    initdb: spec.bootstrap.initdb,
    volumes: { data, ...(wal === undefined ? {} : { wal }) },
  };
  const proxies = proxyDeployment(cluster, surroundings);
  return [
    ...accessObjects(cluster, surroundings),
    configObject(cluster, step.config ?? clusterConfigOf(spec)),
    ...recordObjects(cluster, state.initdb),
    ...serviceObjects(cluster),
    ...budgetObjects(cluster, surroundings),
    statefulSet(cluster, surroundings, state),
    ...(proxies === undefined ? [] : [proxies]),
    ...monitorObjects(cluster, surroundings),
  ];
}
