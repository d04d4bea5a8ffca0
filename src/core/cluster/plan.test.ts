import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { Plan } from './action.ts';
import { fieldsOf } from './member-facts.ts';
import { plan } from './plan.ts';
import type { Surroundings } from './surroundings.ts';
import { ModelCluster } from './testing/model-cluster.ts';

const SURROUNDINGS: Surroundings = {
  image: 'example/matriarch:1',
  serves: { budgets: 'policy/v1', podMonitors: false },
  spareMembers: 0,
};
const MOST_STEPS = 400;

const clusterOf = (spec: unknown) => parsePostgresCluster({ metadata: { name: 'main', uid: 'u1' }, spec });

/** Plans and acts until nothing is left to do. The model throws at what a plan must not do. */
function settle(model: ModelCluster, spec: unknown): Plan {
  const cluster = clusterOf(spec);
  for (let step = 0; step < MOST_STEPS; step++) {
    const next = plan(cluster, SURROUNDINGS, model.observe());
    const away = next.actions.filter(({ kind }) => ['switchover', 'restartServer', 'replacePod'].includes(kind));
    if (away.length > 1) throw new Error(`two members at once: ${JSON.stringify(away)}`);
    for (const action of next.actions) model.do(action);
    if (next.actions.length === 0 && next.waitingFor === null) return next;
    model.tick();
  }
  throw new Error(`not settled: ${JSON.stringify(plan(cluster, SURROUNDINGS, model.observe()))}`);
}

function settled(spec: unknown): ModelCluster {
  const model = new ModelCluster('main');
  settle(model, spec);
  model.disrupted.length = 0;
  return model;
}

const setSpec = (model: ModelCluster) => fieldsOf(model.objects.get('StatefulSet/main')?.spec);

test('a new cluster is made, and then nothing differs', () => {
  const model = settled({});
  expect([...model.members.keys()]).toEqual(['main-0', 'main-1', 'main-2']);
  expect(plan(clusterOf({}), SURROUNDINGS, model.observe())).toEqual({ actions: [], waitingFor: null, refused: [] });
});

test('another image: standbys first, then a switchover, the old primary last', () => {
  const model = settled({});
  settle(model, { image: 'example/matriarch:2' });
  expect(model.disrupted).toEqual(['main-1', 'main-2', 'main-0', 'main-0']);
  expect(model.primary).not.toBe('main-0');
});

test('a single member is restarted in its place', () => {
  const model = settled({ instances: 1 });
  settle(model, { instances: 1, image: 'example/matriarch:2' });
  expect(model.disrupted).toEqual(['main-0']);
});

test('max_connections is raised on the standbys first, and lowered on the primary first', () => {
  const model = settled({});
  settle(model, { postgresql: { parameters: { max_connections: 200 } } });
  expect(model.disrupted.slice(0, 2).sort()).toEqual(['main-1', 'main-2']);
  model.disrupted.length = 0;
  const primary = model.primary;
  settle(model, { postgresql: { parameters: { max_connections: 50 } } });
  expect(model.disrupted[0]).toBe(primary);
  expect(model.disrupted).toHaveLength(3);
});

test('one raised and another lowered at once: two ways, each safe', () => {
  const model = settled({ postgresql: { parameters: { max_connections: 200 } } });
  settle(model, { postgresql: { parameters: { max_connections: 100, max_worker_processes: 16 } } });
  for (const { inForce } of model.members.values())
    expect(inForce).toMatchObject({ max_connections: '100', max_worker_processes: '16' });
});

test('a volume grows, and the StatefulSet is made anew around its pods', () => {
  const model = settled({ storage: { size: '1Gi' } });
  settle(model, { storage: { size: '2Gi' } });
  expect([...model.claims.values()]).toEqual(['2Gi', '2Gi', '2Gi']);
  expect(JSON.stringify(setSpec(model).volumeClaimTemplates)).toContain('2Gi');
  expect(model.disrupted).toEqual([]);
});

test('a volume that shrinks and another storage class are refused, and the rest is done', () => {
  const model = settled({ storage: { size: '2Gi' } });
  const { refused } = settle(model, { instances: 4, storage: { size: '1Gi', storageClass: 'fast' } });
  expect(refused.map(({ field }) => field)).toEqual(['spec.storage.size', 'spec.storage.storageClass']);
  expect([...model.claims.values()]).toEqual(['2Gi', '2Gi', '2Gi', '2Gi']);
  expect(model.members.size).toBe(4);
});

const sizesOf = (model: ModelCluster, volume: string) =>
  [...model.claims].flatMap(([claim, size]) => (claim.startsWith(`${volume}-`) ? [size] : []));

test('each of the two volumes grows, and a member more gets both as they are now', () => {
  const model = settled({ storage: { size: '1Gi' }, walStorage: { size: '1Gi' } });
  expect([...model.claims.keys()].sort().slice(0, 4)).toEqual(['data-main-0', 'data-main-1', 'data-main-2', 'wal-main-0']);
  settle(model, { instances: 4, storage: { size: '1Gi' }, walStorage: { size: '2Gi' } });
  expect(sizesOf(model, 'data')).toEqual(['1Gi', '1Gi', '1Gi', '1Gi']);
  expect(sizesOf(model, 'wal')).toEqual(['2Gi', '2Gi', '2Gi', '2Gi']);
  settle(model, { instances: 4, storage: { size: '3Gi' }, walStorage: { size: '3Gi' } });
  expect(new Set(model.claims.values())).toEqual(new Set(['3Gi']));
  expect(model.disrupted).toEqual([]);
});

test('the volume of the log shrinks no more than that of the data', () => {
  const model = settled({ walStorage: { size: '2Gi' } });
  const { refused } = settle(model, { walStorage: { size: '1Gi', storageClass: 'fast' } });
  expect(refused.map(({ field }) => field)).toEqual(['spec.walStorage.size', 'spec.walStorage.storageClass']);
  expect(sizesOf(model, 'wal')).toEqual(['2Gi', '2Gi', '2Gi']);
});

test.each([
  ['added', {}, { walStorage: { size: '2Gi' } }],
  ['taken away', { walStorage: { size: '2Gi' } }, {}],
])(
  'a volume for the log is not %s: members run on with what they have, also when the resource is made anew',
  (_, before, after) => {
    const model = settled(before);
    const templates = JSON.stringify(setSpec(model).volumeClaimTemplates);
    const { refused } = settle(model, { ...after, instances: 4 });
    expect(refused).toEqual([{ field: 'spec.walStorage', message: expect.stringContaining('make a new cluster beside it') }]);
    expect(sizesOf(model, 'wal')).toHaveLength('walStorage' in before ? 4 : 0);
    expect(JSON.stringify(setSpec(model).volumeClaimTemplates)).toBe(templates);
    // The resource is deleted, and its volumes stay.
    const again = new ModelCluster('main');
    for (const [claim, size] of model.claims) again.claims.set(claim, size);
    expect(settle(again, { ...after, instances: 4 }).refused).toEqual(refused);
    expect(JSON.stringify(setSpec(again).volumeClaimTemplates)).toBe(templates);
    expect(settle(again, { ...before, instances: 4 }).refused).toEqual([]);
  },
);

describe('What the first member is made with', () => {
  const initdb = { encoding: 'LATIN1', locale: 'C', walSegmentSizeMb: 64 };
  const told = (model: ModelCluster) => JSON.stringify(setSpec(model).template).match(/MATRIARCH_INITDB[^}]*/)?.[0];
  const template = (model: ModelCluster) => JSON.stringify(setSpec(model).template);

  test('stays as it was, and what differs is refused field by field', () => {
    const model = settled({ bootstrap: { initdb } });
    expect(told(model)).toContain('LATIN1');
    const before = template(model);
    const { refused } = settle(model, { bootstrap: { initdb: { locale: 'C', walSegmentSizeMb: 32, dataChecksums: false } } });
    expect(refused.map(({ field }) => field)).toEqual([
      'spec.bootstrap.initdb.encoding',
      'spec.bootstrap.initdb.dataChecksums',
      'spec.bootstrap.initdb.walSegmentSizeMb',
    ]);
    expect(refused[0]?.message).toContain('from LATIN1 to UTF8');
    expect(template(model)).toBe(before);
    expect(model.disrupted).toEqual([]);
  });

  test('is known when the resource is made anew around the volumes that were kept', () => {
    const model = settled({ bootstrap: { initdb } });
    const again = new ModelCluster('main');
    const records = model.objects.get('ConfigMap/main-records');
    if (records !== undefined) again.objects.set('ConfigMap/main-records', records);
    again.primary = 'main-0';
    expect(settle(again, {}).refused).toHaveLength(3);
    expect(told(again)).toBe(told(model));
    expect(settle(again, { bootstrap: { initdb } }).refused).toEqual([]);
  });

  test('is what it always was where nothing is said, and no pod differs for that', () => {
    const model = settled({});
    expect(told(model)).toBeUndefined();
    const { refused } = settle(model, { bootstrap: { initdb: { locale: 'en_US.UTF-8' } } });
    expect(refused.map(({ field }) => field)).toEqual(['spec.bootstrap.initdb.locale']);
    expect(told(model)).toBeUndefined();
  });
});

test('whoever leads hands over before it is scaled away, and is forgotten afterwards', () => {
  const model = settled({ instances: 5 });
  model.primary = 'main-4';
  settle(model, { instances: 2 });
  expect([...model.members.keys()]).toEqual(['main-0', 'main-1']);
  expect([...model.known]).toEqual(['main-0', 'main-1']);
  expect(model.disrupted).toEqual(['main-4']);
});

test('a broken pod of an old template is replaced, and no healthy one beside it', () => {
  const model = settled({});
  const broken = model.members.get('main-2');
  if (broken !== undefined) broken.broken = true;
  settle(model, { image: 'example/matriarch:2' });
  expect(model.disrupted[0]).toBe('main-2');
});

test('where every pod is broken, another image still reaches them', () => {
  const model = new ModelCluster('main');
  for (const action of plan(clusterOf({}), SURROUNDINGS, model.observe()).actions) model.do(action);
  model.tick();
  for (const member of model.members.values()) member.broken = true;
  settle(model, { image: 'example/matriarch:2' });
  expect(model.members.size).toBe(3);
});

test('paused: nothing is restarted, and nobody is taken away', () => {
  const model = settled({ instances: 4 });
  const paused = clusterOf({ instances: 3, image: 'example/matriarch:2', paused: true });
  for (let step = 0; step < 20; step++) {
    for (const action of plan(paused, SURROUNDINGS, model.observe()).actions) model.do(action);
    model.tick();
  }
  expect(model.disrupted).toEqual([]);
  expect(model.members.size).toBe(4);
  expect(plan(paused, SURROUNDINGS, model.observe()).waitingFor).toMatch(/^paused/);
});

test('while PostgreSQL refuses a parameter nobody is restarted, and the resource hears of it', () => {
  const model = settled({});
  model.refusedParameters = { work_mem: 'invalid value for parameter "work_mem": "lots"' };
  const changed = clusterOf({ image: 'example/matriarch:2', postgresql: { parameters: { work_mem: 'lots' } } });
  for (let step = 0; step < 20; step++) {
    for (const action of plan(changed, SURROUNDINGS, model.observe()).actions) model.do(action);
    model.tick();
  }
  expect(model.disrupted).toEqual([]);
  const { refused, waitingFor } = plan(changed, SURROUNDINGS, model.observe());
  expect(refused).toEqual([{ field: 'spec.postgresql.parameters.work_mem', message: expect.stringContaining('"lots"') }]);
  expect(waitingFor).toContain('spec.postgresql.parameters.work_mem');
  model.refusedParameters = {};
  settle(model, { image: 'example/matriarch:2' });
});

test('what a resource asks for no more is taken away', () => {
  const model = settled({ proxy: { service: { type: 'NodePort' } } });
  expect(model.objects.has('Service/main-nodeport')).toBe(true);
  settle(model, { proxy: { replicas: 0 } });
  expect([...model.objects.keys()]).not.toEqual(expect.arrayContaining(['Service/main-nodeport']));
  expect([...model.objects.keys()]).not.toEqual(expect.arrayContaining(['Deployment/main-proxy']));
});

test('a Service that a person made of the proxies stays, though it has got their labels', () => {
  const model = settled({});
  const { labels } = model.objects.get('Deployment/main-proxy')?.metadata ?? {};
  const exposed = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'outside', ...(labels === undefined ? {} : { labels }) },
  };
  model.objects.set('Service/outside', exposed);
  settle(model, { proxy: { replicas: 1 } });
  expect(model.objects.get('Service/outside')).toBe(exposed);
});

const parameters = fc.record(
  {
    max_connections: fc.constantFrom(50, 100, 200),
    max_worker_processes: fc.constantFrom(4, 8, 16),
    max_prepared_transactions: fc.constantFrom(0, 10),
    shared_buffers: fc.constantFrom('64MB', '128MB'),
  },
  { requiredKeys: [] },
);
const specs = fc.record({
  instances: fc.integer({ min: 1, max: 5 }),
  image: fc.constantFrom('example/matriarch:1', 'example/matriarch:2'),
  storage: fc.record({ size: fc.constantFrom('1Gi', '2Gi', '3Gi') }),
  walStorage: fc.constantFrom(undefined, { size: '1Gi' }, { size: '2Gi' }),
  postgresql: fc.record({ parameters }),
  resources: fc.constantFrom({ requests: { cpu: '100m' } }, { requests: { cpu: '1000m' } }),
});

test('whatever a person changes, in whatever order, each way is safe and comes to an end', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(specs, fc.nat({ max: 12 }), fc.nat({ max: 4 })), { minLength: 1, maxLength: 4 }), (changes) => {
      const model = new ModelCluster('main');
      settle(model, changes[0]?.[0]);
      for (const [spec, interruptedAfter, leader] of changes) {
        const elected = [...model.members.keys()][leader];
        if (elected !== undefined) model.primary = elected;
        // The change before is on its way when this one comes.
        const cluster = clusterOf(spec);
        for (let step = 0; step < interruptedAfter; step++) {
          for (const action of plan(cluster, SURROUNDINGS, model.observe()).actions) model.do(action);
          model.tick();
        }
      }
      const last = changes.at(-1)?.[0];
      settle(model, last);
      expect(model.members.size).toBe(last?.instances);
      for (const { revision } of model.members.values()) expect(revision).toBe(model.revision);
    }),
    { numRuns: 100 },
  );
});
