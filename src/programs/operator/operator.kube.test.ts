import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEASES } from '#adapters/kubernetes/resources.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { CLUSTERS, CROWDED_MS, cluster, OperatorBench, SECRETS, SERVICES, SETS, until } from './testing/operator-bench.ts';

let bench: OperatorBench;
beforeAll(async () => {
  bench = await OperatorBench.start();
}, CROWDED_MS);
afterAll(() => bench?.close());

test(
  'a resource becomes a cluster, its edit follows, and at rest nothing is written',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('main'));
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
    for (const name of ['main', 'main-primary', 'main-replica', 'main-pods'])
      expect(await bench.client.get(SERVICES, namespace, name)).toBeDefined();
    const { data } = ((await bench.client.get(SECRETS, namespace, 'main-superuser')) ?? {}) as {
      data?: Readonly<Record<string, string>>;
    };
    expect(Object.keys(data ?? {}).sort()).toEqual(['password', 'username']);
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'True');

    const edited = await bench.client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { instances: 5 } });
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 5);
    await until(
      async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.observedGeneration === edited.metadata.generation,
    );

    // Nothing is applied again and again for a difference that the server makes.
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Progressing'))?.reason === 'Waiting');

    // Somebody writes into an object: it is looked at, and nothing that is the operator's differs.
    const before = await bench.client.get(CLUSTERS, namespace, 'main');
    const touched = await bench.client.patch(SERVICES, namespace, 'main-pods', 'merge', {
      metadata: { annotations: { touched: 'yes' } },
    });
    await bench.client.patch(SERVICES, namespace, 'main-primary', 'merge', {
      spec: { selector: { 'matriarch.dev/role': 'replica' } },
    });
    await until(async () => {
      const { selector } = ((await bench.client.get(SERVICES, namespace, 'main-primary'))?.spec ?? {}) as {
        selector?: Readonly<Record<string, string>>;
      };
      return selector?.['matriarch.dev/role'] === 'primary';
    });
    const after = await bench.client.get(SERVICES, namespace, 'main-pods');
    expect(after?.metadata.resourceVersion).toBe(touched.metadata.resourceVersion);
    const { data: later } = ((await bench.client.get(SECRETS, namespace, 'main-superuser')) ?? {}) as { data?: unknown };
    expect(later).toEqual(data);
    expect((await bench.client.get(CLUSTERS, namespace, 'main'))?.metadata.generation).toBe(before?.metadata.generation);
  },
  CROWDED_MS,
);

test(
  'what cannot be had is a condition, and what is there stays',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('main'));
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
    await bench.client.patch(CLUSTERS, namespace, 'main', 'merge', {
      spec: { postgresql: { parameters: { synchronous_commit: 'off' } } },
    });
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'False');
    expect(String((await bench.conditionOf(namespace, 'main', 'Accepted'))?.message)).toContain('synchronous_commit');
    expect(await bench.replicasOf(namespace, 'main')).toBe(3);
  },
  CROWDED_MS,
);

test(
  'deletionPolicy: delete takes the Secrets along, keep leaves them',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    for (const policy of ['delete', 'keep'] as const) {
      await bench.client.create(CLUSTERS, namespace, cluster(policy, { deletionPolicy: policy, roles: [{ name: 'app' }] }));
      await until(async () => (await bench.replicasOf(namespace, policy)) === 3);
      expect(await bench.client.get(SECRETS, namespace, `${policy}-role-app`)).toBeDefined();
      await bench.client.patch(CLUSTERS, namespace, policy, 'merge', { spec: { roles: null } });
    }
    await until(
      async () =>
        ((await bench.client.get(CLUSTERS, namespace, 'delete'))?.metadata.finalizers as unknown[] | undefined)?.length === 1,
    );
    for (const policy of ['delete', 'keep']) {
      await bench.client.delete(CLUSTERS, namespace, policy);
      await until(async () => (await bench.client.get(CLUSTERS, namespace, policy)) === undefined);
    }
    expect(await bench.client.get(SETS, namespace, 'delete')).toBeUndefined();
    // Of a role that is not declared any more, too.
    for (const secret of ['delete-superuser', 'delete-role-app'])
      expect(await bench.client.get(SECRETS, namespace, secret)).toBeUndefined();
    expect(await bench.client.get(SECRETS, namespace, 'keep-superuser')).toBeDefined();
  },
  CROWDED_MS,
);

test(
  'of two operators one works, and the other goes on when it ends',
  async () => {
    const namespace = await bench.api.createNamespace();
    const holder = async () =>
      ((await bench.client.get(LEASES, namespace, OPERATOR.lease))?.spec as { holderIdentity?: string } | undefined)
        ?.holderIdentity;
    const first = bench.startOperator(namespace);
    await until(async () => (await holder()) !== undefined);
    const before = await holder();
    bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('one'));
    await until(async () => (await bench.replicasOf(namespace, 'one')) === 3);
    expect(await holder()).toBe(before);
    await first.stop();
    await bench.client.create(CLUSTERS, namespace, cluster('two'));
    await until(async () => (await bench.replicasOf(namespace, 'two')) === 3);
    expect(await holder()).not.toBe(before);
  },
  CROWDED_MS,
);
