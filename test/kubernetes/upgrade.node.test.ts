import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { previousImage, testImage } from './support/image.ts';
import { OperatedCluster } from './support/operated-cluster.ts';
import { installOperator } from './support/operator-install.ts';
import { undisturbed } from './support/undisturbed.ts';

/** Three pods that go and come, on a crowded machine. */
const ROLL_MS = 280_000;
const PROXIES_END = { proxiesEnd: true };

describe.skipIf(previousImage === undefined)('An upgrade of Matriarch', () => {
  let cluster: OperatedCluster;
  beforeAll(async () => {
    await installOperator(previousImage);
    // Of the old release, whatever the operator's is.
    cluster = await OperatedCluster.create({ image: previousImage });
  });
  afterAll(async () => {
    await cluster?.destroy();
    await installOperator();
  });

  async function images(): Promise<readonly string[]> {
    const { items } = await cluster.get('pods', '-l', `matriarch.dev/cluster=${cluster.name}`);
    return [...new Set<string>(items.map((pod: { spec: { containers: { image: string }[] } }) => pod.spec.containers[0]?.image))];
  }

  async function switchOver(): Promise<void> {
    const primary = await cluster.primary();
    await cluster.plugin('switchover');
    await cluster.ledByAnother(primary);
    await cluster.stable();
  }

  test('a newer operator looks after older members and proxies', async (context) => {
    await undisturbed(cluster, context, async () => {
      await installOperator();
      await cluster.change({ postgresql: { parameters: { work_mem: '7MB' } } });
      await cluster.stable();
      await switchOver();
    });
    expect(await images()).toEqual([previousImage]);
  });

  test('members and proxies become newer one by one, beside older ones', async (context) => {
    await undisturbed(
      cluster,
      context,
      async () => {
        await cluster.change({ image: testImage() });
        await cluster.stable(ROLL_MS);
      },
      PROXIES_END,
    );
    expect(await images()).toEqual([testImage()]);
  });

  test('an older operator looks after newer ones, and brings the older ones back', async (context) => {
    await undisturbed(
      cluster,
      context,
      async () => {
        await installOperator(previousImage);
        await cluster.change({ postgresql: { parameters: { work_mem: '8MB' } } });
        await cluster.stable();
        await switchOver();
        await cluster.change({ image: previousImage });
        await cluster.stable(ROLL_MS);
      },
      PROXIES_END,
    );
    expect(await images()).toEqual([previousImage]);
  });
});
