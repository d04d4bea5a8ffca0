import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { clusterObject, selectorOf } from './object.ts';

/** The names of the ports of containers, which Services lead to. */
export const PORT = { postgres: 'postgresql', api: 'api', health: 'health', metrics: 'metrics' } as const;

const postgres = { name: PORT.postgres, port: POD.postgresPort, targetPort: PORT.postgres, protocol: 'TCP' } as const;

export function serviceObjects(cluster: PostgresCluster): readonly KubeObject[] {
  const names = objectNames(cluster.name);
  const { replicas, service } = cluster.spec.proxy;
  const members = selectorOf(cluster, 'postgresql');
  const primary = { ...members, [LABEL.role]: 'primary' };
  // Without proxies the names stay, and lead to the primary.
  const front = replicas === 0 ? primary : selectorOf(cluster, 'proxy');
  const outside = service.annotations === undefined ? {} : { annotations: service.annotations };
  const balanced = service.type === 'LoadBalancer';
  const make = (name: string, spec: Readonly<Record<string, unknown>>, extras: typeof outside = {}) =>
    clusterObject(cluster, 'v1', 'Service', name, { spec: { ports: [postgres], ...spec } }, extras);
  return [
    make(names.podsService, {
      clusterIP: 'None',
      // Members find each other before they are ready; each has a name in DNS from the moment it has an address.
      publishNotReadyAddresses: true,
      ports: [postgres, { name: PORT.api, port: POD.apiPort, targetPort: PORT.api, protocol: 'TCP' }],
      selector: members,
    }),
    make(names.primaryService, { type: 'ClusterIP', selector: primary }),
    make(names.replicaService, { type: 'ClusterIP', selector: { ...members, [LABEL.role]: 'replica' } }),
    make(names.proxyService, { type: balanced ? 'LoadBalancer' : 'ClusterIP', selector: front }, balanced ? outside : {}),
    ...(service.type === 'NodePort'
      ? [
          make(
            names.nodePortService,
            {
              type: 'NodePort',
              ports: [{ ...postgres, ...(service.nodePort === undefined ? {} : { nodePort: service.nodePort }) }],
              selector: front,
            },
            outside,
          ),
        ]
      : []),
  ];
}
