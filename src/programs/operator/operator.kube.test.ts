import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { LEASES, resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { CustomResources } from '#adapters/kubernetes/testing/custom-resources.ts';
import { type Impostor, startImpostor } from '#adapters/kubernetes/testing/impostor.ts';
import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { runOperator } from './operator.ts';

const CLUSTERS = resourceTypeOf(POSTGRES_CLUSTER);
const SETS = resourceTypeOf({ apiVersion: 'apps/v1', kind: 'StatefulSet' });
const SECRETS = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });
const SERVICES = resourceTypeOf({ apiVersion: 'v1', kind: 'Service' });

let api: ApiServer;
let front: Impostor;
let client: KubeClient;
beforeAll(async () => {
  api = await ApiServer.start();
  const resources = new CustomResources(CLUSTERS);
  front = await startImpostor(api, (request, response, forward) => resources.handle(request, response) || forward());
  client = new KubeClient(api.access({ url: front.url }));
});
afterAll(async () => {
  client?.close();
  await front?.close();
  await api?.remove();
});

function startOperator(namespace: string): { stop(): Promise<void> } {
  const ending = new AbortController();
  const ended = runOperator({
    access: api.access({ url: front.url, namespace }),
    namespace,
    watch: namespace,
    image: 'localhost/matriarch:dev',
    listen: { host: '127.0.0.1', port: 0 },
    log: { info: () => {}, warn: () => {} },
    signal: ending.signal,
  });
  const stop = async () => {
    ending.abort();
    await ended;
  };
  onTestFinished(stop);
  return { stop };
}

function cluster(name: string, spec: Readonly<Record<string, unknown>> = {}): KubeObject {
  return { apiVersion: POSTGRES_CLUSTER.apiVersion, kind: POSTGRES_CLUSTER.kind, metadata: { name }, spec };
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function conditionOf(namespace: string, name: string, type: string) {
  const found = await client.get(CLUSTERS, namespace, name);
  const { conditions = [] } = (found?.status ?? {}) as { conditions?: readonly Readonly<Record<string, unknown>>[] };
  return conditions.find((one) => one.type === type);
}

async function replicasOf(namespace: string, name: string) {
  return ((await client.get(SETS, namespace, name))?.spec as { replicas?: number } | undefined)?.replicas;
}

test('a resource becomes a cluster, its edit follows, and at rest nothing is written', async () => {
  const namespace = await api.createNamespace();
  startOperator(namespace);
  await client.create(CLUSTERS, namespace, cluster('main'));
  await until(async () => (await replicasOf(namespace, 'main')) === 3);
  for (const name of ['main', 'main-primary', 'main-replica', 'main-pods'])
    expect(await client.get(SERVICES, namespace, name)).toBeDefined();
  const { data } = ((await client.get(SECRETS, namespace, 'main-superuser')) ?? {}) as {
    data?: Readonly<Record<string, string>>;
  };
  expect(Object.keys(data ?? {}).sort()).toEqual(['password', 'username']);
  await until(async () => (await conditionOf(namespace, 'main', 'Accepted'))?.status === 'True');

  const edited = await client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { instances: 5 } });
  await until(async () => (await replicasOf(namespace, 'main')) === 5);
  await until(async () => (await conditionOf(namespace, 'main', 'Accepted'))?.observedGeneration === edited.metadata.generation);

  // Nothing is applied again and again for a difference that the server makes.
  await until(async () => (await conditionOf(namespace, 'main', 'Progressing'))?.reason === 'Waiting');

  // Somebody writes into an object: it is looked at, and nothing that is the operator's differs.
  const before = await client.get(CLUSTERS, namespace, 'main');
  const touched = await client.patch(SERVICES, namespace, 'main-pods', 'merge', {
    metadata: { annotations: { touched: 'yes' } },
  });
  await client.patch(SERVICES, namespace, 'main-primary', 'merge', { spec: { selector: { 'matriarch.dev/role': 'replica' } } });
  await until(async () => {
    const { selector } = ((await client.get(SERVICES, namespace, 'main-primary'))?.spec ?? {}) as {
      selector?: Readonly<Record<string, string>>;
    };
    return selector?.['matriarch.dev/role'] === 'primary';
  });
  const after = await client.get(SERVICES, namespace, 'main-pods');
  expect(after?.metadata.resourceVersion).toBe(touched.metadata.resourceVersion);
  const { data: later } = ((await client.get(SECRETS, namespace, 'main-superuser')) ?? {}) as { data?: unknown };
  expect(later).toEqual(data);
  expect((await client.get(CLUSTERS, namespace, 'main'))?.metadata.generation).toBe(before?.metadata.generation);
});

test('what cannot be had is a condition, and what is there stays', async () => {
  const namespace = await api.createNamespace();
  startOperator(namespace);
  await client.create(CLUSTERS, namespace, cluster('main'));
  await until(async () => (await replicasOf(namespace, 'main')) === 3);
  await client.patch(CLUSTERS, namespace, 'main', 'merge', {
    spec: { postgresql: { parameters: { synchronous_commit: 'off' } } },
  });
  await until(async () => (await conditionOf(namespace, 'main', 'Accepted'))?.status === 'False');
  expect(String((await conditionOf(namespace, 'main', 'Accepted'))?.message)).toContain('synchronous_commit');
  expect(await replicasOf(namespace, 'main')).toBe(3);
});

test('deletionPolicy: delete takes the Secrets along, keep leaves them', async () => {
  const namespace = await api.createNamespace();
  startOperator(namespace);
  for (const policy of ['delete', 'keep'] as const) {
    await client.create(CLUSTERS, namespace, cluster(policy, { deletionPolicy: policy }));
    await until(async () => (await replicasOf(namespace, policy)) === 3);
  }
  await until(
    async () => ((await client.get(CLUSTERS, namespace, 'delete'))?.metadata.finalizers as unknown[] | undefined)?.length === 1,
  );
  for (const policy of ['delete', 'keep']) {
    await client.delete(CLUSTERS, namespace, policy);
    await until(async () => (await client.get(CLUSTERS, namespace, policy)) === undefined);
  }
  expect(await client.get(SETS, namespace, 'delete')).toBeUndefined();
  expect(await client.get(SECRETS, namespace, 'delete-superuser')).toBeUndefined();
  expect(await client.get(SECRETS, namespace, 'keep-superuser')).toBeDefined();
});

test('of two operators one works, and the other goes on when it ends', async () => {
  const namespace = await api.createNamespace();
  const holder = async () =>
    ((await client.get(LEASES, namespace, OPERATOR.lease))?.spec as { holderIdentity?: string } | undefined)?.holderIdentity;
  const first = startOperator(namespace);
  await until(async () => (await holder()) !== undefined);
  const before = await holder();
  startOperator(namespace);
  await client.create(CLUSTERS, namespace, cluster('one'));
  await until(async () => (await replicasOf(namespace, 'one')) === 3);
  expect(await holder()).toBe(before);
  await first.stop();
  await client.create(CLUSTERS, namespace, cluster('two'));
  await until(async () => (await replicasOf(namespace, 'two')) === 3);
  expect(await holder()).not.toBe(before);
});
