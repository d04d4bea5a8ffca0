import { expect, type TestContext } from 'vitest';
import type { NumberedWriter } from '../../support/numbered-writer.ts';
import type { KubeCluster } from './kube-cluster.ts';

const ENOUGH_ROWS = 30;
const RESUME_MS = 60_000;

/** How node-postgres tells of a connection that was ended while nothing was asked on it: the next statement is not sent. */
const ENDED_AT_REST = 'Client has encountered a connection error and is not queryable';

/**
 * A client writes through the proxies meanwhile. None of its statements fails, and whatever was acknowledged is there. `proxiesEnd`: its
 * proxy may go, between two statements.
 */
export async function undisturbed(
  cluster: KubeCluster,
  context: TestContext,
  change: () => Promise<unknown>,
  { proxiesEnd = false } = {},
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
  expect(writer.errors.filter((error) => !proxiesEnd || error !== ENDED_AT_REST)).toEqual([]);
  expect(await cluster.missing(writer)).toEqual([]);
  return writer;
}
