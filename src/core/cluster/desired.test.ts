import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { desired } from './desired.ts';
import { fieldsOf, find } from './member-facts.ts';
import type { Surroundings } from './surroundings.ts';

const SURROUNDINGS: Surroundings = {
  image: 'example/matriarch:1',
  serves: { budgets: 'policy/v1', podMonitors: true },
  spareMembers: 0,
};

const objectsOf = (spec: unknown, surroundings = SURROUNDINGS) =>
  desired(parsePostgresCluster({ metadata: { name: 'main', namespace: 'database', uid: 'u1' }, spec }), surroundings);
const yaml = (objects: readonly KubeObject[]) =>
  objects.map((object) => `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`).join('');

// `npx vitest run -u` writes them anew; what changed is then read in the diff.
test('the smallest cluster', async () => {
  await expect(yaml(objectsOf({}))).toMatchFileSnapshot('testing/smallest.golden.yaml');
});

test('a cluster with everything said', async () => {
  const spec = {
    instances: 2,
    image: 'registry.example/matriarch:2',
    imagePullSecrets: [{ name: 'registry' }],
    storage: { size: '100Gi', storageClass: 'fast' },
    walStorage: { size: '20Gi', storageClass: 'faster' },
    bootstrap: { initdb: { encoding: 'LATIN1', locale: 'C', dataChecksums: false, walSegmentSizeMb: 64 } },
    resources: { requests: { cpu: 2, memory: '4Gi' }, limits: { memory: '4Gi' } },
    affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } },
    nodeSelector: { disk: 'fast' },
    tolerations: [{ key: 'database', operator: 'Exists', effect: 'NoSchedule' }],
    topologySpread: [{ topologyKey: 'topology.kubernetes.io/zone' }],
    durability: { mode: 'async' },
    timings: { drainTimeoutMs: '1min' },
    postgresql: { parameters: { max_connections: 500 }, hba: ['hostssl all +staff 10.0.0.0/8 scram-sha-256'] },
    proxy: {
      replicas: 3,
      service: { type: 'NodePort', nodePort: 32000, annotations: { 'example.com/a': 'b' } },
      limits: { clients: 5000 },
      timeouts: { drainMs: '1min' },
    },
    monitoring: { podMonitor: true },
    tls: { secret: 'clients-tls', clients: 'require' },
  };
  await expect(yaml(objectsOf(spec))).toMatchFileSnapshot('testing/everything.golden.yaml');
});

const podSpecs = (spec: unknown) =>
  objectsOf(spec)
    .filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment')
    .map((object) => fieldsOf(fieldsOf(fieldsOf(object.spec).template).spec));

test('every pod passes the Pod Security Standard `restricted`', () => {
  const allowed = ['configMap', 'emptyDir', 'persistentVolumeClaim', 'projected', 'secret'];
  for (const pod of podSpecs({ tls: { secret: 'own' } })) {
    expect(pod).not.toHaveProperty('hostNetwork');
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
    for (const { name: _, ...source } of pod.volumes as readonly { readonly name: string }[])
      expect(allowed).toEqual(expect.arrayContaining(Object.keys(source)));
    for (const container of pod.containers as readonly unknown[])
      expect(fieldsOf(container).securityContext).toEqual({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        privileged: false,
        readOnlyRootFilesystem: true,
      });
  }
});

test('the grace of a member exceeds its hand-over, and that of a proxy its drain', () => {
  const [member, proxy] = podSpecs({
    timings: { drainTimeoutMs: '5min', handoverTimeoutMs: '10s' },
    proxy: { timeouts: { drainMs: '2min' } },
  });
  expect(member?.terminationGracePeriodSeconds).toBeGreaterThan(312);
  expect(proxy?.terminationGracePeriodSeconds).toBeGreaterThan(123);
});

test('without proxies the Service of the cluster leads to the primary', () => {
  const objects = objectsOf({ proxy: { replicas: 0 } });
  expect(find(objects, 'Deployment', 'main-proxy')).toBeUndefined();
  expect(fieldsOf(find(objects, 'Service', 'main')?.spec).selector).toMatchObject({ 'matriarch.dev/role': 'primary' });
});

test('members may change nothing but their own pods and records', () => {
  const role = find(objectsOf({}, { ...SURROUNDINGS, spareMembers: 5 }), 'Role', 'main') ?? { rules: [] };
  const rules = role.rules as readonly {
    readonly verbs: string[];
    readonly resourceNames?: string[];
    readonly resources: string[];
  }[];
  for (const rule of rules) {
    if (rule.verbs.some((verb) => !['get', 'list', 'watch'].includes(verb)))
      expect(rule.resourceNames?.length).toBeGreaterThan(0);
    expect(rule.resources).not.toContain('secrets');
  }
  expect(JSON.stringify(rules)).toContain('"main-4"');
});
