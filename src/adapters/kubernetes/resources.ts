import { fail } from '#domain/errors.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';

/** A kind of object as the API server serves it. */
export interface ResourceType {
  /** '' for those of the core, such as pods. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

export interface Selectors {
  readonly labels?: string | undefined;
  readonly fields?: string | undefined;
}

const PLURALS: Readonly<Record<string, string>> = {
  ConfigMap: 'configmaps',
  Deployment: 'deployments',
  Event: 'events',
  Lease: 'leases',
  PersistentVolumeClaim: 'persistentvolumeclaims',
  Pod: 'pods',
  PodDisruptionBudget: 'poddisruptionbudgets',
  PodMonitor: 'podmonitors',
  PostgresCluster: 'postgresclusters',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  Secret: 'secrets',
  Service: 'services',
  ServiceAccount: 'serviceaccounts',
  StatefulSet: 'statefulsets',
};

/** Where objects of the kinds that clusters are made of are served. */
export function resourceTypeOf({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): ResourceType {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  const plural = PLURALS[kind];
  if (plural === undefined) return fail('internal.bug', `${apiVersion} ${kind}: its plural is not known`);
  return { group, version, plural, namespaced: true };
}

export const PODS: ResourceType = { group: '', version: 'v1', plural: 'pods', namespaced: true };
export const CONFIG_MAPS: ResourceType = { group: '', version: 'v1', plural: 'configmaps', namespaced: true };
export const LEASES: ResourceType = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases', namespaced: true };

/** The path of a collection, or of one object in it. `namespace` undefined: over all namespaces. */
export function pathOf(type: ResourceType, namespace: string | undefined, name?: string, subresource?: string): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const within = type.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : '';
  const one = name === undefined ? '' : `/${encodeURIComponent(name)}${subresource === undefined ? '' : `/${subresource}`}`;
  return `${root}${within}/${type.plural}${one}`;
}

/** Versions of Kubernetes' objects are decimal numbers that grow with every write; undefined for what is none. */
export function revisionOf(resourceVersion: unknown): number | undefined {
  if (typeof resourceVersion !== 'string' || !/^[0-9]{1,16}$/.test(resourceVersion)) return undefined;
  const revision = Number(resourceVersion);
  return Number.isSafeInteger(revision) ? revision : undefined;
}
