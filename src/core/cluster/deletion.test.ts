import { expect, test } from 'vitest';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { deletionPlan } from './deletion.ts';

const object = (kind: string, name: string): KubeObject => ({ apiVersion: 'v1', kind, metadata: { name } });
const DATA = [
  object('PersistentVolumeClaim', 'data-main-0'),
  object('PersistentVolumeClaim', 'wal-main-0'),
  object('ConfigMap', 'main-records'),
  object('Lease', 'main-leader'),
];
const WORK = [object('StatefulSet', 'main'), object('Deployment', 'main-proxy'), object('Pod', 'main-0')];
const planOf = (deletionPolicy: string, objects: readonly KubeObject[]) => {
  const { actions, waitingFor } = deletionPlan(parsePostgresCluster({ metadata: { name: 'main' }, spec: { deletionPolicy } }), {
    objects,
  });
  return { deleted: actions.flatMap((action) => (action.kind === 'delete' ? [action.object.name] : [])), waitingFor };
};

test('by `keep` nothing is taken away', () => {
  expect(planOf('keep', [...WORK, ...DATA])).toEqual({ deleted: [], waitingFor: null });
});

test('by `delete` the pods first, and the data when no pod uses it', () => {
  expect(planOf('delete', [...WORK, ...DATA])).toEqual({ deleted: ['main', 'main-proxy'], waitingFor: 'the pods to end' });
  expect(planOf('delete', [object('Pod', 'main-0'), ...DATA])).toEqual({ deleted: [], waitingFor: 'the pods to end' });
  expect(planOf('delete', DATA)).toEqual({
    deleted: ['data-main-0', 'wal-main-0', 'main-records', 'main-leader'],
    waitingFor: null,
  });
  expect(planOf('delete', [])).toEqual({ deleted: [], waitingFor: null });
});

test('the volume of another cluster stays', () => {
  for (const claim of ['data-main-two-0', 'wal-main-two-0', 'other-main-0'])
    expect(planOf('delete', [object('PersistentVolumeClaim', claim)]).deleted).toEqual([]);
});
