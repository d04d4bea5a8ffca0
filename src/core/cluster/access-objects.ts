import type { Initdb } from '#domain/config/initdb.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { initdbText } from './initdb-step.ts';
import { clusterObject } from './object.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * What members may do: read and label the pods of this cluster by name, and change the two objects that hold its records. RBAC knows no
 * selector for lists, so they see the pods of the namespace. Proxies may do nothing.
 */
export function accessObjects(
  cluster: PostgresCluster,
  { spareMembers }: Pick<Surroundings, 'spareMembers'>,
): readonly KubeObject[] {
  const names = objectNames(cluster.name);
  const rbac = 'rbac.authorization.k8s.io/v1';
  const members = Array.from({ length: Math.max(cluster.spec.instances, spareMembers) }, (_, ordinal) => names.member(ordinal));
  const change = ['get', 'update', 'patch'];
  return [
    clusterObject(
      cluster,
      'v1',
      'ServiceAccount',
      names.serviceAccount,
      { automountServiceAccountToken: false },
      { component: 'postgresql' },
    ),
    clusterObject(
      cluster,
      'v1',
      'ServiceAccount',
      names.proxyServiceAccount,
      { automountServiceAccountToken: false },
      { component: 'proxy' },
    ),
    clusterObject(
      cluster,
      rbac,
      'Role',
      names.role,
      {
        rules: [
          { apiGroups: [''], resources: ['pods'], verbs: ['list', 'watch'] },
          { apiGroups: [''], resources: ['pods'], resourceNames: members, verbs: ['get', 'patch'] },
          // Lists and watches of one object, by `metadata.name`, are allowed by its name.
          {
            apiGroups: [''],
            resources: ['configmaps'],
            resourceNames: [names.recordsConfigMap],
            verbs: [...change, 'list', 'watch'],
          },
          {
            apiGroups: ['coordination.k8s.io'],
            resources: ['leases'],
            resourceNames: [names.leaderLease],
            verbs: [...change, 'list', 'watch'],
          },
        ],
      },
      { component: 'postgresql' },
    ),
    clusterObject(
      cluster,
      rbac,
      'RoleBinding',
      names.roleBinding,
      {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: names.role },
        subjects: [{ kind: 'ServiceAccount', name: names.serviceAccount }],
      },
      { component: 'postgresql' },
    ),
  ];
}

/** Made empty, so that members need no right to make any. They outlive the resource: whoever finds the data again must know who led. */
export function recordObjects(cluster: PostgresCluster, initdb: Initdb): readonly KubeObject[] {
  const names = objectNames(cluster.name);
  const text = initdbText(initdb);
  return [
    clusterObject(
      cluster,
      'v1',
      'ConfigMap',
      names.recordsConfigMap,
      {},
      {
        component: 'postgresql',
        outlives: true,
        ...(text === undefined ? {} : { annotations: { [ANNOTATION.initdb]: text } }),
      },
    ),
    clusterObject(cluster, 'coordination.k8s.io/v1', 'Lease', names.leaderLease, {}, { component: 'postgresql', outlives: true }),
  ];
}
