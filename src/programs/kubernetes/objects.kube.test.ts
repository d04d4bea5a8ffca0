import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import type { ResourceType } from '#adapters/kubernetes/resources.ts';
import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { manifestsByHand } from '#core/cluster/by-hand.ts';
import { desired } from '#core/cluster/desired.ts';
import { needsApply } from '#core/cluster/needs-apply.ts';
import { readSecrets } from '#core/cluster/read-secrets.ts';
import { secretObjects } from '#core/cluster/secret-objects.ts';
import type { Surroundings } from '#core/cluster/surroundings.ts';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { operatorObjects } from '#domain/kubernetes/operator-objects.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import { completeSecrets } from './complete-secrets.ts';

const PLURALS: Readonly<Record<string, string>> = { PodDisruptionBudget: 'poddisruptionbudgets' };
const CLUSTER_SCOPED = ['Namespace', 'ClusterRole', 'ClusterRoleBinding', 'CustomResourceDefinition'];
const FIELD_MANAGER = 'matriarch';
const CRDS: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

let api: ApiServer;
let client: KubeClient;
let budgets: Surroundings['serves']['budgets'];

beforeAll(async () => {
  api = await ApiServer.start();
  client = api.client();
  const { groups } = (await client.read('/apis')) as {
    readonly groups: readonly { readonly name: string; readonly versions: readonly { readonly groupVersion: string }[] }[];
  };
  const served = groups.find(({ name }) => name === 'policy')?.versions.some(({ groupVersion }) => groupVersion === 'policy/v1');
  budgets = served === true ? 'policy/v1' : 'policy/v1beta1';
}, 300_000);

afterAll(async () => {
  client.close();
  await api.remove();
});

function typeOf({ apiVersion, kind }: KubeObject): ResourceType {
  const [version = '', group = ''] = apiVersion.split('/').reverse();
  return { group, version, plural: PLURALS[kind] ?? `${kind.toLowerCase()}s`, namespaced: !CLUSTER_SCOPED.includes(kind) };
}

function conditionsOf(found: { readonly [field: string]: unknown } | undefined) {
  const { conditions = [] } = (found?.status ?? {}) as {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
  return conditions;
}

function apply(object: KubeObject, namespace: string) {
  const type = typeOf(object);
  return client.apply(type, type.namespaced ? (object.metadata.namespace ?? namespace) : undefined, object, {
    fieldManager: FIELD_MANAGER,
  });
}

const surroundings = (): Surroundings => ({
  image: 'example/matriarch:1',
  serves: { budgets, podMonitors: false },
  spareMembers: 0,
});

const EVERYTHING = {
  instances: 2,
  imagePullSecrets: [{ name: 'registry' }],
  storage: { size: '1000Mi', storageClass: 'fast' },
  walStorage: { size: '1024Mi', storageClass: 'fast' },
  bootstrap: { initdb: { locale: 'C', walSegmentSizeMb: 32 } },
  resources: { requests: { cpu: '1000m', memory: '4096Mi' }, limits: { memory: '4Gi' } },
  nodeSelector: { disk: 'fast' },
  tolerations: [{ key: 'database', operator: 'Exists', effect: 'NoSchedule' }],
  topologySpread: [{ topologyKey: 'topology.kubernetes.io/zone' }],
  proxy: { service: { type: 'NodePort', annotations: { 'example.com/a': 'b' } }, limits: { clients: 5000 } },
  tls: { secret: 'clients-tls', clients: 'require' },
};

describe('the objects of a cluster', () => {
  test.each([
    ['the smallest', {}],
    ['with everything said', EVERYTHING],
    ['without proxies', { proxy: { replicas: 0 } }],
    ['behind a load balancer', { proxy: { service: { type: 'LoadBalancer' } } }],
  ])('%s: the API server takes them, and finds nothing to change in them afterwards', async (_, spec) => {
    const namespace = await api.createNamespace();
    const cluster = parsePostgresCluster({ metadata: { name: 'main', namespace }, spec });
    const secrets = await completeSecrets(cluster, ['main-0'], readSecrets('main', [], []));
    for (const object of [...secretObjects(cluster, secrets), ...desired(cluster, surroundings())]) {
      const live = (await apply(object, namespace)) as KubeObject;
      expect(needsApply(live, object), `${object.kind} ${object.metadata.name}`).toBe(false);
    }
  });

  test('what `matriarch manifests` prints is taken, in the order of the files', async () => {
    const namespace = await api.createNamespace();
    const cluster = parsePostgresCluster({ metadata: { name: 'main' }, spec: { proxy: { service: { type: 'NodePort' } } } });
    const secrets = await completeSecrets(cluster, ['main-0'], readSecrets('main', [], []));
    for (const { objects } of manifestsByHand(cluster, surroundings(), secrets))
      for (const object of objects) await apply(object, namespace);
  });

  test('members may do what they must, and nothing else', async () => {
    const namespace = await api.createNamespace();
    const cluster = parsePostgresCluster({ metadata: { name: 'main', namespace } });
    for (const object of desired(cluster, surroundings())) await apply(object, namespace);
    const may = (account: string, verb: string, resource: string, name?: string, group = '') => {
      const user = `system:serviceaccount:${namespace}:${account}`;
      return api.allows(user, { namespace, verb, resource, group, ...(name === undefined ? {} : { name }) });
    };
    expect(await may('main', 'patch', 'pods', 'main-2')).toBe(true);
    expect(await may('main', 'watch', 'pods')).toBe(true);
    expect(await may('main', 'patch', 'configmaps', 'main-records')).toBe(true);
    expect(await may('main', 'patch', 'leases', 'main-leader', 'coordination.k8s.io')).toBe(true);
    expect(await may('main', 'patch', 'pods', 'other-0')).toBe(false);
    expect(await may('main', 'delete', 'pods', 'main-0')).toBe(false);
    expect(await may('main', 'get', 'secrets', 'main-authority')).toBe(false);
    expect(await may('main', 'patch', 'configmaps', 'main-config')).toBe(false);
    expect(await may('main-proxy', 'list', 'pods')).toBe(false);
  });
});

describe('the operator and its resource', () => {
  beforeAll(async () => {
    const [namespace, ...others] = operatorObjects({ namespace: 'matriarch-system', image: 'example/matriarch:1', replicas: 1 });
    for (const object of [postgresClusterCrd(), ...(namespace === undefined ? [] : [namespace]), ...others])
      await apply(object, '');
    await vi.waitFor(
      async () => {
        const found = await client.get(CRDS, undefined, 'postgresclusters.matriarch.dev');
        expect(conditionsOf(found)).toContainEqual(expect.objectContaining({ type: 'Established', status: 'True' }));
      },
      { timeout: 60_000 },
    );
  });

  test('in one namespace alone, too', async () => {
    const watch = await api.createNamespace();
    const [, ...others] = operatorObjects({ namespace: 'matriarch-system', image: 'example/matriarch:1', replicas: 2, watch });
    for (const object of others) await apply(object, '');
  });

  test('the schema is structural, and nothing of it is dropped', async () => {
    const found = await client.get(CRDS, undefined, 'postgresclusters.matriarch.dev');
    expect(conditionsOf(found).map(({ type }) => type)).not.toContain('NonStructuralSchema');
    expect(needsApply(found as KubeObject, postgresClusterCrd())).toBe(false);
  });
});
