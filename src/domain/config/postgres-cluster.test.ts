import { expect, test } from 'vitest';
import { clusterConfigOf, parsePostgresCluster } from './postgres-cluster.ts';

const parse = (spec: unknown, name = 'main') => parsePostgresCluster({ metadata: { name }, spec });

test('a name is enough', () => {
  const { spec } = parse(undefined);
  expect(spec).toMatchObject({
    instances: 3,
    version: '17',
    storage: { size: '10Gi' },
    proxy: { replicas: 2 },
    deletionPolicy: 'keep',
  });
  expect(clusterConfigOf(spec).durability).toEqual({ mode: 'required', count: 1 });
});

test.each([
  [1, 'async'],
  [2, 'preferred'],
  [3, 'required'],
])('%i instances are %s', (instances, mode) => {
  expect(clusterConfigOf(parse({ instances }).spec).durability.mode).toBe(mode);
});

test('what the proxies and the servers are told', () => {
  const { spec } = parse({
    postgresql: { parameters: { max_connections: 200, jit: false } },
    proxy: { timeouts: { holdMs: '5s' } },
  });
  expect(clusterConfigOf(spec)).toMatchObject({
    postgresql: { parameters: { max_connections: '200', jit: 'false' } },
    proxy: { timeouts: { holdMs: 5000 } },
  });
});

test.each([
  [{ instances: 0 }, 'spec.instances: '],
  [{ instnaces: 3 }, 'spec.instnaces is no setting; did you mean instances?'],
  [{ version: '16' }, 'spec.version: must be 17: the image holds no other PostgreSQL'],
  [{ storage: { size: '10X' } }, 'spec.storage.size: must be a quantity'],
  [{ storage: { size: '1Mi' } }, 'spec.storage.size: must be at least 256Mi'],
  [{ bootstrap: { initdb: { encoding: 'LATIN1' } } }, 'spec.bootstrap.initdb.locale: C.UTF-8 takes `encoding: UTF8`'],
  [{ bootstrap: { initdb: { locale: "C'; x" } } }, 'spec.bootstrap.initdb.locale: must be the name of a locale'],
  [{ bootstrap: { initdb: { walSegmentSizeMb: 24 } } }, 'spec.bootstrap.initdb.walSegmentSizeMb: must be a power of 2'],
  [
    { bootstrap: { initdb: { walSegmentSizeMb: 64 } }, walStorage: { size: '512Mi' } },
    'spec.bootstrap.initdb.walSegmentSizeMb: takes a volume of at least 1024Mi',
  ],
  [
    { bootstrap: { initdb: { walSegmentSizeMb: 64 } }, postgresql: { parameters: { min_wal_size: 80 } } },
    'spec.bootstrap.initdb.walSegmentSizeMb: takes a min_wal_size of at least 128MB',
  ],
  [{ walStorage: { size: '1Mi' } }, 'spec.walStorage.size: must be at least 256Mi'],
  [{ walStorage: { class: 'fast' } }, 'spec.walStorage.class is no setting'],
  [{ resources: { requests: { cpu: 2 }, limits: { cpu: 1 } } }, 'spec.resources.requests.cpu: must not exceed its limit, 1'],
  [{ instances: 1, durability: { mode: 'required' } }, 'spec.durability.mode: `required` with one member'],
  [{ durability: { count: 3 } }, 'spec.durability.count: must be at most 2'],
  [{ postgresql: { parameters: { fsync: 'off' } } }, 'spec.postgresql.parameters.fsync: belongs to Matriarch'],
  [{ timings: { fenceMs: '10s' } }, 'spec.timings.suspectAfterMs: must be at least 1.1 times'],
  [{ proxy: { service: { nodePort: 32000 } } }, 'spec.proxy.service.nodePort: takes `type: NodePort`'],
  [{ roles: [{ name: 'postgres' }] }, 'spec.roles.0.name: belongs to Matriarch'],
  [{ roles: [{ name: 'a_b' }, { name: 'a-b' }] }, 'spec.roles.1.name: is there twice'],
  [{ tolerations: [{ operator: 'Exists', key: 'a', value: 'b' }] }, 'spec.tolerations.0.value: must not stand beside'],
])('%j: %s', (spec, message) => {
  expect(() => parse(spec)).toThrow(
    expect.objectContaining({ message: expect.stringContaining(`PostgresCluster main: ${message}`) }),
  );
});

test.each(['Main', 'main-', '1st', 'a'.repeat(38)])('a cluster is not called %s', (name) => {
  expect(() => parse({}, name)).toThrow(/metadata\.name: /);
});
