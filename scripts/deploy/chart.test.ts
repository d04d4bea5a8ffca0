import { expect, test } from 'vitest';
import { isMap, parse, parseAllDocuments, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { configObject } from '#core/cluster/config-object.ts';
import { clusterConfigOf, parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { operatorObjects } from '#domain/kubernetes/operator-objects.ts';
import { chartFiles } from './chart.ts';
import { renderTemplate } from './render-template.ts';

const FILES = chartFiles();
const VALUES = parse(FILES['values.yaml'] ?? '');

function render(template: string, values: object = {}) {
  const text = renderTemplate(FILES[template] ?? '', { Values: { ...VALUES, ...values }, Release: { Namespace: 'here' } });
  return parseAllDocuments(text).flatMap((document) => document.toJS() ?? []);
}

const withoutNamespace = (options: Parameters<typeof operatorObjects>[0]) =>
  operatorObjects(options).filter(({ kind }) => kind !== 'Namespace');

test('the operator of the chart is that of the code', () => {
  expect(
    render('templates/operator.yaml', { operator: { image: 'example/matriarch:1', replicas: 2, watchNamespace: '' } }),
  ).toEqual(withoutNamespace({ namespace: 'here', image: 'example/matriarch:1', replicas: 2 }));
});

test('in one namespace alone, too', () => {
  const operator = { image: 'example/matriarch:1', replicas: 1, watchNamespace: 'there' };
  expect(render('templates/operator.yaml', { operator })).toEqual(
    withoutNamespace({ namespace: 'here', image: 'example/matriarch:1', replicas: 1, watch: 'there' }),
  );
});

test('a cluster is its values', () => {
  const spec = {
    instances: 5,
    postgresql: { parameters: { work_mem: '64MB', jit: false } },
    tolerations: [{ operator: 'Exists' }],
  };
  const clusters = render('templates/clusters.yaml', { clusters: { main: {}, other: spec } });
  expect(clusters).toEqual([
    { apiVersion: 'matriarch.dev/v1', kind: 'PostgresCluster', metadata: { name: 'main', namespace: 'here' }, spec: {} },
    { apiVersion: 'matriarch.dev/v1', kind: 'PostgresCluster', metadata: { name: 'other', namespace: 'here' }, spec },
  ]);
  for (const cluster of clusters) expect(parsePostgresCluster(cluster).spec.version).toBe('17');
});

test('without clusters there is none', () => {
  expect(render('templates/clusters.yaml')).toEqual([]);
});

test('what the renderer does not know is refused', () => {
  expect(() => renderTemplate('{{ .Values.a | quote }}', { Values: {}, Release: {} })).toThrow('more than is rendered here');
});

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: unknown;
}
const SCHEMA = parse(FILES['values.schema.json'] ?? '') as Schema;

/** `a.b` of every value, with the comment before it. */
function documented(map: YAMLMap, path = ''): (readonly [path: string, comment: string])[] {
  return map.items.flatMap(({ key, value }, index) => {
    const { value: name, commentBefore } = key as { readonly value: string; readonly commentBefore?: string };
    const comment = commentBefore ?? (index === 0 ? map.commentBefore : '') ?? '';
    const own = [`${path}${name}`, comment.trim()] as const;
    return isMap(value) && value.items.length > 0 ? [own, ...documented(value, `${path}${name}.`)] : [own];
  });
}

function schemaAt(path: string): Schema | undefined {
  return path.split('.').reduce<Schema | undefined>((schema, name) => schema?.properties?.[name], SCHEMA);
}

test('every value is told what for, and the schema knows it, and no other', () => {
  const { contents } = parseDocument(FILES['values.yaml'] ?? '');
  const values = documented(contents as YAMLMap);
  expect(values.length).toBeGreaterThan(4);
  for (const [path, comment] of values) {
    expect(schemaAt(path), path).toBeDefined();
    // Of the first one the comment belongs to the file.
    if (path !== 'operator') expect(comment, path).not.toBe('');
  }
  const known = (schema: Schema | undefined) => Object.keys(schema?.properties ?? {}).filter((name) => name !== 'global');
  expect([known(SCHEMA), known(schemaAt('operator'))]).toEqual([Object.keys(VALUES), Object.keys(VALUES.operator)]);
});

const checked = z.fromJSONSchema(SCHEMA as Parameters<typeof z.fromJSONSchema>[0]);

test.each([
  [true, {}],
  [true, { clusters: { main: { postgresql: { hba: ['local all all reject'], parameters: { work_mem: '1MB' } } } } }],
  [false, { clusters: { Main: {} } }],
  [false, { clusters: { main: { instances: 0 } } }],
  [false, { clusters: { main: { nobody: 1 } } }],
  [false, { operator: { ...VALUES.operator, replicas: -1 } }],
  [false, { operators: {} }],
])('by the schema it is %s that the values may have %j', (isRight, values) => {
  expect(checked.safeParse({ ...VALUES, ...values }).success).toBe(isRight);
});

test('what stands in each configuration file of a cluster is a value', () => {
  const cluster = {
    postgresql: { hba: ['local all all reject'] },
    proxy: { limits: { clients: 7 }, timeouts: { holdMs: 1234 } },
  };
  const [resource] = render('templates/clusters.yaml', { clusters: { main: cluster } });
  const { spec, ...parsed } = parsePostgresCluster(resource);
  const { data } = configObject({ ...parsed, spec }, clusterConfigOf(spec)) as unknown as {
    data: Readonly<Record<string, string>>;
  };
  expect(Object.keys(data)).toEqual(['cluster.yaml', 'proxy.yaml']);
  expect(parse(data['cluster.yaml'] ?? '')).toMatchObject({ postgresql: cluster.postgresql, proxy: cluster.proxy });
});
