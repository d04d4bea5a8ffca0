import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { clientPod } from './client-pod.ts';
import type { ClusterSecrets } from './cluster-secrets.ts';
import { desired } from './desired.ts';
import { find } from './member-facts.ts';
import { secretObjects } from './secret-objects.ts';
import type { Surroundings } from './surroundings.ts';

/** A file of the folders that `kubectl apply -f .` makes a cluster from. */
export interface Manifest {
  /** Relative to the folder of the cluster, such as `postgresql/50-statefulset.yaml`. */
  readonly path: string;
  /** It holds a password or a key. */
  readonly secret: boolean;
  /** None: the cluster has no such thing, and the file must not be there. */
  readonly objects: readonly KubeObject[];
}

/** A cluster without the operator. The numbers are the order: kubectl applies the files of a folder by their names. */
export function manifestsByHand(
  cluster: PostgresCluster,
  surroundings: Surroundings,
  secrets: ClusterSecrets,
): readonly Manifest[] {
  const names = objectNames(cluster.name);
  const objects = [...desired(cluster, surroundings), ...secretObjects(cluster, secrets)];
  const pick = (...wanted: readonly (readonly [kind: string, name: string])[]) =>
    wanted.flatMap(([kind, name]) => find(objects, kind, name) ?? []);
  const logins = [names.superuserSecret, names.replicationSecret, names.agentSecret];
  const open: readonly (readonly [path: string, objects: readonly KubeObject[]])[] = [
    ['postgresql/00-namespace.yaml', namespaceOf(cluster)],
    ['postgresql/20-serviceaccount.yaml', pick(['ServiceAccount', names.serviceAccount])],
    ['postgresql/21-role.yaml', pick(['Role', names.role], ['RoleBinding', names.roleBinding])],
    ['postgresql/30-configmap.yaml', pick(['ConfigMap', names.configMap])],
    ['postgresql/31-records.yaml', pick(['ConfigMap', names.recordsConfigMap], ['Lease', names.leaderLease])],
    ['postgresql/40-service-headless.yaml', pick(['Service', names.podsService])],
    ['postgresql/41-services.yaml', pick(['Service', names.primaryService], ['Service', names.replicaService])],
    ['postgresql/50-poddisruptionbudget.yaml', pick(['PodDisruptionBudget', names.membersBudget])],
    ['postgresql/60-statefulset.yaml', pick(['StatefulSet', names.statefulSet])],
    ['postgresql/70-podmonitor.yaml', pick(['PodMonitor', names.statefulSet])],
    ['proxy/20-serviceaccount.yaml', pick(['ServiceAccount', names.proxyServiceAccount])],
    ['proxy/40-service.yaml', pick(['Service', names.proxyService])],
    ['proxy/41-service-nodeport.yaml', pick(['Service', names.nodePortService])],
    ['proxy/50-poddisruptionbudget.yaml', pick(['PodDisruptionBudget', names.proxyBudget])],
    ['proxy/60-deployment.yaml', pick(['Deployment', names.proxyDeployment])],
    ['proxy/70-podmonitor.yaml', pick(['PodMonitor', names.proxyDeployment])],
    ['client/client-pod.yaml', [clientPod(cluster, surroundings)]],
  ];
  const hidden: typeof open = [
    ['postgresql/10-secrets.yaml', pick(...logins.map((name) => ['Secret', name] as const))],
    ['postgresql/11-secret-tls.yaml', pick(['Secret', names.memberTlsSecret])],
    ['proxy/10-secret-tls.yaml', pick(['Secret', names.proxyTlsSecret])],
    ['authority/secret.yaml', pick(['Secret', names.authoritySecret])],
  ];
  return [
    ...open.map(([path, objects]) => ({ path, secret: false, objects })),
    ...hidden.map(([path, objects]) => ({ path, secret: true, objects })),
  ].sort((one, other) => (one.path < other.path ? -1 : 1));
}

function namespaceOf({ namespace }: PostgresCluster): readonly KubeObject[] {
  return namespace === undefined ? [] : [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }];
}
