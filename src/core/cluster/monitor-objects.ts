import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { type Component, clusterObject, selectorOf } from './object.ts';
import { PORT } from './service-objects.ts';
import type { Surroundings } from './surroundings.ts';

/** For the Prometheus operator, where the resource asks for it and `PodMonitor` is there. */
export function monitorObjects(cluster: PostgresCluster, { serves }: Pick<Surroundings, 'serves'>): readonly KubeObject[] {
  if (!cluster.spec.monitoring.podMonitor || !serves.podMonitors) return [];
  const names = objectNames(cluster.name);
  const monitor = (name: string, component: Component, port: string) =>
    clusterObject(
      cluster,
      'monitoring.coreos.com/v1',
      'PodMonitor',
      name,
      {
        spec: {
          selector: { matchLabels: selectorOf(cluster, component) },
          podMetricsEndpoints: [{ port, path: POD.proxyProbes.live }],
        },
      },
      { component },
    );
  return [
    monitor(names.statefulSet, 'postgresql', PORT.health),
    ...(cluster.spec.proxy.replicas > 0 ? [monitor(names.proxyDeployment, 'proxy', PORT.metrics)] : []),
  ];
}
