import { setTimeout as sleep } from 'node:timers/promises';
import { KubernetesStore } from '../test/support/kubernetes-store.ts';
import { TestCluster } from '../test/support/test-cluster.ts';

const SETTLE_MS = 5000;

/** What three members at rest write to an API server that is their store. */
export async function benchStore(seconds: number, json: boolean): Promise<void> {
  const store = await KubernetesStore.start();
  const cluster = await TestCluster.start({ placement: store.placement });
  try {
    await cluster.healthy();
    await sleep(SETTLE_MS);
    const [from, epoch] = [store.writes.length, await cluster.epoch()];
    await sleep(seconds * 1000);
    const writes = store.writes.slice(from);
    const facts = {
      seconds,
      writes: writes.length,
      perSecond: writes.length / seconds,
      elections: (await cluster.epoch()) - epoch,
    };
    if (json) process.stdout.write(`${JSON.stringify({ ...facts, requests: writes }, null, 2)}\n`);
    else
      process.stdout.write(
        `over ${seconds} s at rest: ${facts.writes} writes, ${facts.perSecond.toFixed(3)} a second (≤ 0.1), ${facts.elections} elections\n`,
      );
  } finally {
    await cluster.destroy();
    await store.close();
  }
}
