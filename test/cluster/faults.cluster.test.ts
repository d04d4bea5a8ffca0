import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { underWrites } from '../support/fault-run.ts';
import { describeFaultTable } from '../support/fault-table.ts';
import { holdWriteLock } from '../support/store-lock.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start();
}, 90_000);

afterEach(() => {
  cluster.startMissingAgents();
});

afterAll(async () => {
  await cluster?.destroy();
});

describeFaultTable(() => cluster);

describe('the store in a file', () => {
  it('another process holds the lock of the store, so that it can be read and not written: no statement fails', async () => {
    const epoch = await cluster.epoch();
    const run = await underWrites(cluster, async (primary) => {
      const release = await holdWriteLock(cluster.paths.store);
      try {
        const refused = cluster.post(primary, '/pause').then(
          () => 'done',
          (error: { readonly code?: string }) => error.code,
        );
        expect(await refused).toBe('store.unavailable');
      } finally {
        await release();
      }
    });
    expect(run.errors).toEqual([]);
    expect(await cluster.epoch()).toBe(epoch);
    await cluster.healthy();
  });
});
