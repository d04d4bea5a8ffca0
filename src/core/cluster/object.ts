import { POSTGRES_CLUSTER, type PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';

export type Component = 'postgresql' | 'proxy';

/** The labels that select the pods of a component; never more, since selectors cannot be changed. */
export function selectorOf({ name }: Pick<PostgresCluster, 'name'>, component: Component) {
  return { [LABEL.cluster]: name, [LABEL.component]: component } as const;
}

export function labelsOf({ name }: Pick<PostgresCluster, 'name'>, component?: Component) {
  return {
    'app.kubernetes.io/name': 'matriarch',
    'app.kubernetes.io/instance': name,
    'app.kubernetes.io/managed-by': 'matriarch',
    ...(component === undefined ? {} : { 'app.kubernetes.io/component': component }),
    [LABEL.cluster]: name,
    ...(component === undefined ? {} : { [LABEL.component]: component }),
  } as const;
}

interface Extras {
  readonly component?: Component;
  readonly annotations?: Readonly<Record<string, string>>;
  /** It outlives the resource, as the data does that it belongs to. */
  readonly outlives?: boolean;
}

/** An object of the cluster. It goes with the resource unless it `outlives` it. */
export function clusterObject(
  cluster: PostgresCluster,
  apiVersion: string,
  kind: string,
  name: string,
  body: Readonly<Record<string, unknown>>,
  { component, annotations, outlives = false }: Extras = {},
): KubeObject {
  const owned = cluster.uid !== undefined && !outlives;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(cluster.namespace === undefined ? {} : { namespace: cluster.namespace }),
      labels: labelsOf(cluster, component),
      ...(annotations === undefined ? {} : { annotations }),
      ...(owned ? { ownerReferences: [ownerOf(cluster, cluster.uid)] } : {}),
    },
    ...body,
  };
}

function ownerOf({ name }: PostgresCluster, uid: string) {
  const { apiVersion, kind } = POSTGRES_CLUSTER;
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true };
}
