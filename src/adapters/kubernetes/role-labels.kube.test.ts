import { afterAll, beforeAll, expect, test } from 'vitest';
import { ANNOTATION, LABEL } from '#domain/kubernetes/labels.ts';
import type { KubeClient } from './kube-client.ts';
import { PODS } from './resources.ts';
import { type PodRole, RoleLabels } from './role-labels.ts';
import { ApiServer } from './testing/api-server.ts';

let api: ApiServer;
let client: KubeClient;
beforeAll(async () => {
  api = await ApiServer.start();
  client = api.client();
});
afterAll(async () => {
  client?.close();
  await api?.remove();
});

async function createPods(namespace: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const labels = { [LABEL.cluster]: 'main', [LABEL.component]: 'postgresql' };
    const spec = { containers: [{ name: 'postgresql', image: 'none' }] };
    await client.create(PODS, namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec });
  }
}

async function rolesIn(namespace: string) {
  const { items } = await client.list(PODS, namespace);
  return Object.fromEntries(items.map(({ metadata: { name, labels } }) => [name, labels?.[LABEL.role]]));
}

/** Until its pod bears the role. */
async function labelAs(namespace: string, pod: string, wanted: PodRole): Promise<void> {
  const labels = new RoleLabels({ client, namespace, cluster: 'main', pod, onTrouble: () => {} });
  labels.set(wanted);
  const ended = labels.run();
  const { role, epoch } = wanted;
  const isDone = async () => {
    const { items } = await client.list(PODS, namespace);
    return items.every(({ metadata: { name, labels: found, annotations } }) => {
      const known = Number(annotations?.[ANNOTATION.roleEpoch] ?? 0);
      if (name !== pod && role === 'replica') return true;
      return known > epoch || (known === epoch && found?.[LABEL.role] === (name === pod ? role : 'replica'));
    });
  };
  while (!(await isDone()));
  labels.close();
  await ended;
}

test('a new leader makes itself the primary and every other a replica; what an earlier one still wanted changes nothing', async () => {
  const namespace = await api.createNamespace();
  await createPods(namespace, ['main-0', 'main-1', 'main-2']);
  await labelAs(namespace, 'main-0', { role: 'primary', epoch: 5 });
  expect(await rolesIn(namespace)).toEqual({ 'main-0': 'primary', 'main-1': 'replica', 'main-2': 'replica' });
  await labelAs(namespace, 'main-1', { role: 'primary', epoch: 6 });
  expect(await rolesIn(namespace)).toEqual({ 'main-0': 'replica', 'main-1': 'primary', 'main-2': 'replica' });
  // It was suspended before it had labelled everybody, and goes on.
  await labelAs(namespace, 'main-0', { role: 'primary', epoch: 5 });
  expect(await rolesIn(namespace)).toEqual({ 'main-0': 'replica', 'main-1': 'primary', 'main-2': 'replica' });
});

test('the label of a leader that somebody took away is set again, and a pod of another cluster is left alone', async () => {
  const namespace = await api.createNamespace();
  await createPods(namespace, ['main-0']);
  const labels = { [LABEL.cluster]: 'other', [LABEL.component]: 'postgresql', [LABEL.role]: 'primary' };
  const spec = { containers: [{ name: 'postgresql', image: 'none' }] };
  await labelAs(namespace, 'main-0', { role: 'primary', epoch: 1 });
  await client.create(PODS, namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'other-0', labels }, spec });
  await client.patch(PODS, namespace, 'main-0', 'merge', { metadata: { labels: { [LABEL.role]: null } } });
  const again = new RoleLabels({ client, namespace, cluster: 'main', pod: 'main-0', onTrouble: () => {} });
  again.set({ role: 'primary', epoch: 1 });
  const ended = again.run();
  while ((await rolesIn(namespace))['main-0'] !== 'primary');
  again.close();
  await ended;
  expect(await rolesIn(namespace)).toEqual({ 'main-0': 'primary', 'other-0': 'primary' });
});
