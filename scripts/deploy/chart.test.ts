import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
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
