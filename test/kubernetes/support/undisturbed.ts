import { expect, type TestContext } from 'vitest';
import type { NumberedWriter } from '../../support/numbered-writer.ts';
import type { KubeCluster } from './kube-cluster.ts';

const ENOUGH_ROWS = 30;
const RESUME_MS = 60_000;

/** A client writes through the proxies meanwhile. None of its statements fails, and whatever was acknowledged is there. */
export async function undisturbed(
  cluster: KubeCluster,
  context: TestContext,
  change: () => Promise<unknown>,
): Promise<NumberedWriter> {
  const writer = cluster.writer(`${context.task.name} ${Math.random()}`);
  writer.start();
  try {
    await writer.advance(ENOUGH_ROWS, RESUME_MS);
    const since = performance.now();
    await change();
    await writer.advance(ENOUGH_ROWS, RESUME_MS);
    await context.annotate(`longest pause ${(writer.longestGapMs(since) / 1000).toFixed(1)} s through the proxies`);
  } finally {
    await writer.stop();
  }
  expect(writer.errors).toEqual([]);
  expect(await cluster.missing(writer)).toEqual([]);
  return writer;
}
