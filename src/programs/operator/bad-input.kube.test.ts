import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KubeFailure } from '#adapters/kubernetes/failures.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { CLUSTERS, CROWDED_MS, cluster, OperatorBench, SECRETS, until } from './testing/operator-bench.ts';

let bench: OperatorBench;
beforeAll(async () => {
  bench = await OperatorBench.start();
}, CROWDED_MS);
afterAll(() => bench?.close());

const parameters = (values: object) => ({ postgresql: { parameters: values } });
const twice = (name: string, other = name) => [{ name }, { name: other }];

/** The API server itself says no, and which field it is about. */
const REFUSED: readonly (readonly [field: string, spec: unknown])[] = [
  ['spec', 'three'],
  ['spec.instances', { instances: 0 }],
  ['spec.instances', { instances: -1 }],
  ['spec.instances', { instances: 17 }],
  ['spec.instances', { instances: 1e9 }],
  ['spec.instances', { instances: 2.5 }],
  ['spec.instances', { instances: 'three' }],
  ['spec.version', { version: '16' }],
  ['spec.version', { version: 17 }],
  ['spec.image', { image: 'two words' }],
  ['spec.storage.size', { storage: { size: '10 GB' } }],
  ['spec.storage.size', { storage: { size: 'lots' } }],
  ['spec.storage.size', { storage: { size: '-1Gi' } }],
  ['spec.storage.storageClass', { storage: { storageClass: 'Fast!' } }],
  ['spec.resources.requests.cpu', { resources: { requests: { cpu: 'much' } } }],
  ['spec.durability.mode', { durability: { mode: 'maybe' } }],
  ['spec.durability.count', { durability: { count: 0 } }],
  ['spec.proxy.replicas', { proxy: { replicas: -1 } }],
  ['spec.proxy.service.type', { proxy: { service: { type: 'Ingress' } } }],
  ['spec.proxy.service.nodePort', { proxy: { service: { type: 'NodePort', nodePort: 70_000 } } }],
  ['spec.roles[0].name', { roles: [{ name: 'Two Words' }] }],
  ['spec.roles[0].connectionLimit', { roles: [{ name: 'a', connectionLimit: -2 }] }],
  ['spec.roles[1]', { roles: twice('app') }],
  ['spec.databases[1]', { databases: twice('app') }],
  ['spec.databases[0].owner', { databases: [{ name: 'app', owner: '' }] }],
  ['spec.databases[0].extensions[0]', { databases: [{ name: 'app', extensions: ['x; DROP'] }] }],
  ['spec.tolerations[0].effect', { tolerations: [{ operator: 'Exists', effect: 'Never' }] }],
  ['spec.topologySpread[0].maxSkew', { topologySpread: [{ topologyKey: 'zone', maxSkew: 0 }] }],
  ['spec.deletionPolicy', { deletionPolicy: 'maybe' }],
  ['spec.paused', { paused: 'yes' }],
];

test.each(REFUSED)('%s is refused by the API server: %j', async (field, spec) => {
  const object = { ...cluster('main'), spec } as KubeObject;
  const failure = await bench.client.create(CLUSTERS, 'default', object).catch((error: KubeFailure) => error);
  expect(failure).toMatchObject({ code: 'kubernetes.refused' });
  const { fields, message } = failure as KubeFailure;
  // Of items of a list, servers before 1.22 tell the list alone.
  const withoutIndexes = (text: string) => text.replaceAll(/\[\d+\]/g, '');
  expect([...fields, message].map(withoutIndexes).join('\n')).toContain(withoutIndexes(field));
});

test.each(['a'.repeat(38), 'main-', '1st', 'a.b'])('a cluster is not called %s', async (name) => {
  await expect(bench.client.create(CLUSTERS, 'default', cluster(name))).rejects.toMatchObject({
    code: 'kubernetes.refused',
    message: expect.stringContaining('metadata.name'),
  });
});

/** The operator says no, in a condition that names the field. */
const CONDITION: readonly (readonly [text: string, spec: Readonly<Record<string, unknown>>])[] = [
  ['spec.postgresql.parameters.max_connections: must be a whole number', parameters({ max_connections: 'lots' })],
  ['spec.postgresql.parameters.max_connections: must be a whole number', parameters({ max_connections: '1e3' })],
  ['spec.postgresql.parameters.work_mem: ', parameters({ work_mem: { size: 1 } })],
  ['spec.postgresql.parameters.work_mem: must be one line', parameters({ work_mem: '1MB\nfsync = off' })],
  ['spec.postgresql.parameters.two words', parameters({ 'two words': 1 })],
  ['spec.postgresql.parameters.fsync: belongs to Matriarch', parameters({ fsync: 'off' })],
  ['spec.postgresql.parameters.max_wal_senders: must be at least 10', parameters({ max_wal_senders: 1 })],
  ['spec.postgresql.hba.0: must end with', { postgresql: { hba: ['hostssl all all all trust'] } }],
  ['spec.storage.size: must be at least 256Mi', { storage: { size: '1Mi' } }],
  ['spec.walStorage.size: must be at least 256Mi', { walStorage: { size: '1Mi' } }],
  ['spec.bootstrap.initdb.locale: C.UTF-8 takes', { bootstrap: { initdb: { encoding: 'LATIN1' } } }],
  ['spec.bootstrap.initdb.walSegmentSizeMb: must be a power of 2', { bootstrap: { initdb: { walSegmentSizeMb: 3 } } }],
  ['spec.resources.requests.cpu: must not exceed', { resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } }],
  ['spec.durability.count: must be at most 2', { durability: { count: 3 } }],
  ['spec.durability.mode: `required` with one member', { instances: 1, durability: { mode: 'required' } }],
  ['spec.timings.leaseMs: ', { timings: { leaseMs: 'soon' } }],
  ['spec.timings.suspectAfterMs: must be at least 1.1 times', { timings: { fenceMs: '10s' } }],
  ['spec.roles.0.name: belongs to Matriarch', { roles: [{ name: 'postgres' }] }],
  ['spec.roles.1.name: is there twice', { roles: twice('a_b', 'a-b') }],
  ['spec.databases.0.name: is a database of PostgreSQL itself', { databases: [{ name: 'template1' }] }],
  ['spec.tolerations.0.operator: must be Exists', { tolerations: [{ effect: 'NoSchedule' }] }],
  ['spec.proxy.service.nodePort: takes `type: NodePort`', { proxy: { service: { nodePort: 32_000 } } }],
  // Only the API server knows its range, and what an affinity may be.
  ['nodePort: Invalid value: 80', { proxy: { service: { type: 'NodePort', nodePort: 80 } } }],
  ['affinity', { affinity: { nodeAffinity: 'near' } }],
];

test(
  'what the API server cannot tell becomes a condition; nothing of it is written again and again, and good clusters are made beside',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    for (const [index, [, spec]] of CONDITION.entries())
      await bench.client.create(CLUSTERS, namespace, cluster(`bad-${index}`, spec));
    for (const [index, [text]] of CONDITION.entries()) {
      await until(async () => (await bench.conditionOf(namespace, `bad-${index}`, 'Accepted'))?.status === 'False');
      expect((await bench.conditionOf(namespace, `bad-${index}`, 'Accepted'))?.message).toContain(text);
    }
    const told = bench.writes.filter((write) => /postgresclusters\/bad-\d+\/status/.test(write)).length;
    await bench.client.create(CLUSTERS, namespace, cluster('good'));
    await until(async () => (await bench.replicasOf(namespace, 'good')) === 3);
    // Each is looked at once more.
    for (const index of CONDITION.keys())
      await bench.client.patch(CLUSTERS, namespace, `bad-${index}`, 'merge', { metadata: { annotations: { touched: 'yes' } } });
    await bench.client.create(CLUSTERS, namespace, cluster('last'));
    await until(async () => (await bench.conditionOf(namespace, 'last', 'Progressing'))?.reason === 'Waiting');
    const after = bench.writes.filter((write) => /postgresclusters\/bad-\d+\/status/.test(write)).length;
    expect(after).toBe(told);
  },
  CROWDED_MS,
);

test(
  'a resource that was refused is a cluster as soon as it is mended',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('main', parameters({ max_connections: 'lots' })));
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'False');
    await bench.client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: parameters({ max_connections: 50 }) });
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'True');
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
  },
  CROWDED_MS,
);

test(
  'a Secret that somebody deletes is made again',
  async () => {
    const namespace = await bench.api.createNamespace();
    const first = bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('main', { roles: [{ name: 'app' }] }));
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
    await first.stop();
    const gone = ['main-superuser', 'main-replication', 'main-agent', 'main-role-app', 'main-member-tls', 'main-proxy-tls'];
    for (const name of gone) await bench.client.delete(SECRETS, namespace, name);
    bench.startOperator(namespace);
    for (const name of gone) await until(async () => (await bench.client.get(SECRETS, namespace, name)) !== undefined);
  },
  CROWDED_MS,
);

test(
  'what a cluster was made with is refused by the names of the fields, and accepted again when it is taken back',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    const made = { bootstrap: { initdb: { locale: 'C' } } };
    await bench.client.create(CLUSTERS, namespace, cluster('main', made));
    await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
    const change = (spec: unknown) => bench.client.patch(CLUSTERS, namespace, 'main', 'merge', { spec });
    await change({ walStorage: { size: '1Gi' }, bootstrap: { initdb: { locale: 'C.UTF-8' } } });
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'False');
    const message = (await bench.conditionOf(namespace, 'main', 'Accepted'))?.message;
    expect(message).toContain('spec.walStorage: cannot be added');
    expect(message).toContain('spec.bootstrap.initdb.locale: cannot be changed from C to C.UTF-8');
    await change({ walStorage: null, ...made });
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Accepted'))?.status === 'True');
  },
  CROWDED_MS,
);
