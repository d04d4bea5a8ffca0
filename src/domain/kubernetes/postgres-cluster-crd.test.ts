import { expect, test } from 'vitest';
import { z } from 'zod';
import { parsePostgresCluster } from '../config/postgres-cluster.ts';
import { postgresClusterCrd } from './postgres-cluster-crd.ts';

interface Schema {
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly default?: unknown;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly [field: string]: unknown;
}

const { versions } = postgresClusterCrd().spec as {
  readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[];
};
const SCHEMA = versions[0]?.schema.openAPIV3Schema ?? {};

/** With the extensions of Kubernetes in the words of JSON Schema. */
function plain(schema: Schema): Schema {
  const children = Object.entries(schema)
    .filter(([key]) => !key.startsWith('x-kubernetes') && key !== 'default')
    .map(([key, value]) => {
      if (key === 'properties')
        return [key, Object.fromEntries(Object.entries(value as object).map(([name, child]) => [name, plain(child)]))];
      return [
        key,
        key === 'items' || (key === 'additionalProperties' && typeof value === 'object') ? plain(value as Schema) : value,
      ];
    });
  const { pattern, ...rest } = Object.fromEntries(children);
  if (schema['x-kubernetes-int-or-string'] !== true) return { ...rest, ...(pattern === undefined ? {} : { pattern }) };
  return { anyOf: [{ type: 'integer' }, { type: 'string', ...(pattern === undefined ? {} : { pattern }) }] };
}

const server = z.fromJSONSchema(plain(SCHEMA) as Parameters<typeof z.fromJSONSchema>[0]);
const resource = (spec: unknown, name = 'main') => ({
  apiVersion: 'matriarch.dev/v1',
  kind: 'PostgresCluster',
  metadata: { name },
  spec,
});

/** What the API server fills in: from the top, where a field is missing. */
function filled(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(schema.items ?? {}, item));
  if (typeof value !== 'object' || value === null || schema.properties === undefined) return value;
  const fields = value as Readonly<Record<string, unknown>>;
  const missing = Object.entries(schema.properties).filter(
    ([name, child]) => fields[name] === undefined && child.default !== undefined,
  );
  const whole = { ...fields, ...Object.fromEntries(missing.map(([name, child]) => [name, child.default])) };
  return Object.fromEntries(Object.entries(whole).map(([name, child]) => [name, filled(schema.properties?.[name] ?? {}, child)]));
}

/** Every schema below, with its path. */
function all(schema: Schema, path = ''): (readonly [path: string, schema: Schema])[] {
  const { properties = {}, items, additionalProperties } = schema;
  return [
    [path, schema],
    ...Object.entries(properties).flatMap(([name, child]) => all(child, `${path}.${name}`)),
    ...(items === undefined ? [] : all(items, `${path}[]`)),
    ...(typeof additionalProperties === 'object' ? all(additionalProperties, `${path}.*`) : []),
  ];
}

test('it is structural: every place has a type or says why it has none, and no word that a CRD must not have', () => {
  for (const [path, schema] of all(SCHEMA)) {
    const free = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
    expect(typeof schema.type === 'string' || free, path).toBe(true);
    for (const word of ['$ref', '$schema', 'propertyNames', 'anyOf', 'oneOf', 'const', 'definitions', 'id'])
      expect(Object.keys(schema), path).not.toContain(word);
    expect(schema.additionalProperties, path).not.toBe(false);
  }
});

test('the spec and each of its fields is described', () => {
  const spec = SCHEMA.properties?.spec ?? {};
  const undescribed = all(spec, 'spec').filter(([path, { description }]) => /\.\w+$/.test(path) && description === undefined);
  expect(undescribed.map(([path]) => path)).toEqual([]);
});

test('with the defaults of the API server the resource means what it meant without them', () => {
  for (const spec of [
    {},
    { walStorage: {} },
    { bootstrap: {} },
    { bootstrap: { initdb: { locale: 'C' } } },
    { proxy: { service: {} }, roles: [{ name: 'app' }], databases: [{ name: 'app' }], tolerations: [{ key: 'a' }] },
  ])
    expect(parsePostgresCluster(filled(SCHEMA, resource(spec))).spec).toEqual(parsePostgresCluster(resource(spec)).spec);
});

test.each([
  {},
  { resources: { limits: { cpu: 2, memory: '4Gi' } } },
  { timings: { drainTimeoutMs: '1min', leaseMs: 20_000 } },
  { postgresql: { parameters: { max_connections: 200, jit: false, work_mem: '64MB' } } },
  { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } } } },
])('%j is taken', (spec) => {
  expect(server.safeParse(resource(spec)).error?.issues).toBeUndefined();
});

test.each([
  ['spec.instances', { instances: 0 }],
  ['spec.instances', { instances: 17 }],
  ['spec.version', { version: '16' }],
  ['spec.storage.size', { storage: { size: '10 GB' } }],
  ['spec.bootstrap.initdb.encoding', { bootstrap: { initdb: { encoding: 'utf8' } } }],
  ['spec.walStorage.size', { walStorage: { size: '10 GB' } }],
  ['spec.durability.mode', { durability: { mode: 'maybe' } }],
  ['spec.proxy.service.type', { proxy: { service: { type: 'Ingress' } } }],
  ['spec.databases.0.owner', { databases: [{ name: 'app', owner: '' }] }],
])('%s is refused by the API server: %j', (path, spec) => {
  expect(server.safeParse(resource(spec)).error?.issues.map((issue) => issue.path.join('.'))).toEqual([path]);
});

test.each(['Main', 'x'.repeat(38), 'main-'])('a cluster is not called %s', (name) => {
  expect(server.safeParse(resource({}, name)).success).toBe(false);
});
