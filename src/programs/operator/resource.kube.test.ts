import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { pathOf } from '#adapters/kubernetes/resources.ts';
import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import { CLUSTERS, CROWDED_MS, cluster } from './testing/operator-bench.ts';

// PostgresClusters as a real API server keeps them, without an operator.

let api: ApiServer;
let client: KubeClient;
beforeAll(async () => {
  api = await ApiServer.start();
  await api.define(postgresClusterCrd());
  client = api.client();
}, CROWDED_MS);
afterAll(async () => {
  client?.close();
  await api?.remove();
});

const STATUS = {
  instances: 3,
  readyInstances: 2,
  ready: '2/3',
  primary: 'main-1',
  timeline: 4,
  selector: 'matriarch.dev/cluster=main',
  conditions: [
    ['Ready', 'True', 'Serving'],
    ['Progressing', 'False', 'Stable'],
  ].map(([type, status, reason]) => ({
    type,
    status,
    reason,
    message: 'm',
    observedGeneration: 1,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })),
};

test(
  'the server fills in the defaults, and they mean what they meant without it',
  async () => {
    const namespace = await api.createNamespace();
    for (const spec of [{}, { proxy: { service: {} }, roles: [{ name: 'app' }], databases: [{ name: 'app' }] }]) {
      const name = `d${Object.keys(spec).length}`;
      const made = await client.create(CLUSTERS, namespace, cluster(name, spec));
      expect(made.spec).toMatchObject({ instances: 3, version: '17', storage: {}, proxy: { replicas: 2 } });
      expect(parsePostgresCluster(made).spec).toEqual(parsePostgresCluster(cluster(name, spec)).spec);
    }
  },
  CROWDED_MS,
);

test(
  'without a spec it is a cluster, too',
  async () => {
    const namespace = await api.createNamespace();
    const { spec: _, ...bare } = cluster('main');
    expect((await client.create(CLUSTERS, namespace, bare)).spec).toMatchObject({ instances: 3 });
  },
  CROWDED_MS,
);

test(
  'what others own is kept as it is, and a field that nobody knows vanishes',
  async () => {
    const namespace = await api.createNamespace();
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } };
    const made = await client.create(CLUSTERS, namespace, cluster('main', { affinity, nobody: 1 }));
    expect(made.spec).toMatchObject({ affinity });
    expect(made.spec).not.toHaveProperty('nobody');
  },
  CROWDED_MS,
);

test(
  'a change of the spec is a new generation, one of the status is none; neither changes the other',
  async () => {
    const namespace = await api.createNamespace();
    await client.create(CLUSTERS, namespace, cluster('main'));
    const told = await client.patch(
      CLUSTERS,
      namespace,
      'main',
      'merge',
      { status: STATUS, spec: { instances: 7 } },
      { subresource: 'status' },
    );
    expect(told).toMatchObject({ metadata: { generation: 1 }, spec: { instances: 3 }, status: STATUS });
    const edited = await client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { instances: 5 }, status: { ready: 'x' } });
    expect(edited).toMatchObject({ metadata: { generation: 2 }, spec: { instances: 5 }, status: { ready: '2/3' } });
  },
  CROWDED_MS,
);

test(
  'kubectl scale reads and writes instances',
  async () => {
    const namespace = await api.createNamespace();
    await client.create(CLUSTERS, namespace, cluster('main'));
    await client.patch(CLUSTERS, namespace, 'main', 'merge', { status: STATUS }, { subresource: 'status' });
    const scale = await client.read(pathOf(CLUSTERS, namespace, 'main', 'scale'));
    expect(scale).toMatchObject({ spec: { replicas: 3 }, status: { replicas: 3, selector: STATUS.selector } });
    await client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { replicas: 5 } }, { subresource: 'scale' });
    expect((await client.get(CLUSTERS, namespace, 'main'))?.spec).toMatchObject({ instances: 5 });
    await expect(
      client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { replicas: 99 } }, { subresource: 'scale' }),
    ).rejects.toMatchObject({ code: 'kubernetes.refused' });
  },
  CROWDED_MS,
);

describe('kubectl get', () => {
  test('shows what people look for first', async () => {
    const namespace = await api.createNamespace();
    await client.create(CLUSTERS, namespace, cluster('main'));
    await client.patch(CLUSTERS, namespace, 'main', 'merge', { status: STATUS }, { subresource: 'status' });
    const { columnDefinitions, rows } = (await client.read(pathOf(CLUSTERS, namespace), {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    })) as {
      readonly columnDefinitions: readonly { readonly name: string; readonly priority: number }[];
      readonly rows: readonly { readonly cells: readonly unknown[] }[];
    };
    const shown = columnDefinitions.filter(({ priority }) => priority === 0).map(({ name }) => name);
    expect(shown).toEqual(['Name', 'Primary', 'Ready', 'Serving', 'Progress', 'Age']);
    expect(rows[0]?.cells.slice(0, 5)).toEqual(['main', 'main-1', '2/3', 'True', 'Stable']);
  });
});
