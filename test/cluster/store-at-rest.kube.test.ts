import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { KubernetesStore } from '../support/kubernetes-store.ts';
import { TestCluster } from '../support/test-cluster.ts';

let store: KubernetesStore;
let cluster: TestCluster;
beforeAll(async () => {
  store = await KubernetesStore.start();
  cluster = await TestCluster.start({ placement: store.placement });
}, 180_000);
afterAll(async () => {
  await cluster?.destroy();
  await store?.close();
});

/** 0.1 writes a second for the whole cluster. */
const MOST_IN_A_LEASE = 1;
const LEASES = 3;

test('three members at rest write less than once in the time of a lease', async () => {
  const { leaseMs } = (await cluster.get<{ config: { timings: { leaseMs: number } } }>(await cluster.leader(), '/config')).config
    .timings;
  const settled = async () => `${await cluster.healthy(60_000)} ${await cluster.epoch()}`;
  // A crowded machine may elect anew meanwhile, which is no rest: then the next one counts.
  for (let before = await settled(), attempt = 0; ; attempt++) {
    const from = store.writes.length;
    await sleep(LEASES * leaseMs);
    const written = store.writes.slice(from);
    const after = await settled();
    if (after !== before && attempt < 3) {
      before = after;
      continue;
    }
    expect(written.length, written.join('\n')).toBeLessThanOrEqual(LEASES * MOST_IN_A_LEASE);
    return;
  }
}, 300_000);
