import { expect, test } from 'vitest';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { clusterStatus, invalidStatus } from './conditions.ts';
import { plan } from './plan.ts';
import type { Surroundings } from './surroundings.ts';
import { ModelCluster } from './testing/model-cluster.ts';

const SURROUNDINGS: Surroundings = {
  image: 'example/matriarch:1',
  serves: { budgets: 'policy/v1', podMonitors: false },
  spareMembers: 0,
};
const clusterOf = (spec: unknown, generation = 1) => parsePostgresCluster({ metadata: { name: 'main', generation }, spec });

function run(model: ModelCluster, spec: unknown, ticks: number) {
  const cluster = clusterOf(spec);
  for (let tick = 0; tick < ticks; tick++) {
    for (const action of plan(cluster, SURROUNDINGS, model.observe()).actions) model.do(action);
    model.tick();
  }
  const observed = model.observe();
  return (before: Parameters<typeof clusterStatus>[3], now: string) =>
    clusterStatus(cluster, observed, plan(cluster, SURROUNDINGS, observed), before, now);
}

const of = (status: ReturnType<typeof clusterStatus>) =>
  Object.fromEntries(status.conditions.map((one) => [one.type, `${one.status} ${one.reason}`]));

test('a cluster at rest', () => {
  const status = run(new ModelCluster('main'), {}, 10)({}, '2026-01-01T00:00:00Z');
  expect(of(status)).toEqual({
    Ready: 'True Serving',
    Progressing: 'False Stable',
    Degraded: 'False AllMembersFollow',
    Accepted: 'True Valid',
  });
  expect(status).toMatchObject({ primary: 'main-0', instances: 3, readyInstances: 3, ready: '3/3', observedGeneration: 1 });
});

test('before the first member is there', () => {
  const status = run(new ModelCluster('main'), {}, 0)({}, '2026-01-01T00:00:00Z');
  expect(of(status)).toEqual({
    Ready: 'False Creating',
    Progressing: 'True Configuring',
    Degraded: 'True MembersMissing',
    Accepted: 'True Valid',
  });
});

test('at rest the same status comes out again, whenever it is', () => {
  const status = run(new ModelCluster('main'), {}, 10);
  const first = status({}, '2026-01-01T00:00:00Z');
  expect(status(first, '2026-01-02T00:00:00Z')).toEqual(first);
});

test('what is refused is said with its field', () => {
  const model = new ModelCluster('main');
  run(model, { storage: { size: '2Gi' } }, 10);
  const { conditions } = run(model, { storage: { size: '1Gi' } }, 10)({}, '2026-01-01T00:00:00Z');
  expect(conditions.find(({ type }) => type === 'Accepted')).toMatchObject({
    status: 'False',
    reason: 'Refused',
    message: expect.stringContaining('spec.storage.size: a volume cannot shrink from 2Gi to 1Gi'),
  });
});

test('what fails is said until it works', () => {
  const model = new ModelCluster('main');
  run(model, {}, 10);
  const observed = model.observe();
  const cluster = clusterOf({});
  const next = plan(cluster, SURROUNDINGS, observed);
  const status = clusterStatus(
    cluster,
    observed,
    { ...next, failed: 'Secret app: `password` is missing' },
    {},
    '2026-01-01T00:00:00Z',
  );
  expect(status.conditions.find(({ type }) => type === 'Progressing')).toMatchObject({
    status: 'True',
    reason: 'Failed',
    message: 'Secret app: `password` is missing',
  });
});

test('of an invalid resource only that is said, and the rest is kept', () => {
  const before = run(new ModelCluster('main'), {}, 10)({}, '2026-01-01T00:00:00Z');
  const status = invalidStatus('spec.timings: …', 2, before, '2026-01-02T00:00:00Z');
  expect(of(status)).toMatchObject({ Ready: 'True Serving', Accepted: 'False Invalid' });
  expect(status).toMatchObject({ observedGeneration: 2, primary: 'main-0', readyInstances: 3 });
});

test.each([
  [
    'an image that cannot be pulled',
    { state: { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling x' } } },
    'ImagePullBackOff: Back-off pulling x',
  ],
  ['a container that only starts', { state: { waiting: { reason: 'ContainerCreating' } } }, 'does not answer'],
])('of a pod that does not run: %s', (_, container, said) => {
  const model = new ModelCluster('main');
  run(model, {}, 10);
  const { objects, views, ...rest } = model.observe();
  const { 'main-2': _gone, ...others } = views;
  const observed = {
    ...rest,
    views: others,
    objects: objects.map((object) =>
      object.kind === 'Pod' && object.metadata.name === 'main-2'
        ? { ...object, status: { containerStatuses: [container] } }
        : object,
    ),
  };
  const { conditions } = clusterStatus(
    clusterOf({}),
    observed,
    plan(clusterOf({}), SURROUNDINGS, observed),
    {},
    '2026-01-01T00:00:00Z',
  );
  const { message } = conditions.find(({ type }) => type === 'Degraded') ?? {};
  expect(message).toBe(`2 of 3 members lead or follow: main-0 primary, main-1 streaming, main-2 ${said}`);
});
