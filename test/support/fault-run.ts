import type { Fault } from './faults.ts';
import { NumberedWriter, overlaps, type WriterOptions } from './numbered-writer.ts';
import type { TestCluster } from './test-cluster.ts';

const WRITERS = 2;
const WARM_UP_ROWS = 20;
const ROWS_AFTER = 20;

export interface FaultRun {
  /** Longest time without an acknowledgement from the fault on, of the writer that was hit least and most. */
  readonly outageMs: number;
  readonly before: string;
  readonly after: string;
  readonly acknowledged: number;
  readonly errors: readonly string[];
}

/** Of a writer who leaves something of the machine to whoever repairs the cluster. */
const PAUSE_MS = 20;

export interface FaultRunOptions extends WriterOptions {
  /** How long rows may stay unacknowledged. Default 30 000. */
  readonly recoverMs?: number;
  /** Who has to be in order before. Default all. */
  readonly members?: readonly string[];
  /** After the rows flow again, before the check. */
  readonly settle?: () => Promise<void>;
}

let series = 0;

/**
 * Injects a fault into a healthy cluster under writes and waits until rows are acknowledged again. Throws when an acknowledged row is
 * missing or two servers acknowledged in the same moment.
 */
export async function underWrites(
  cluster: TestCluster,
  inject: (primary: string, writers: readonly NumberedWriter[]) => Promise<void>,
  options: FaultRunOptions = {},
): Promise<FaultRun> {
  const before = await cluster.healthy(30_000, options.members);
  series += 1;
  const writers = Array.from(
    { length: WRITERS },
    (_, index) => new NumberedWriter(cluster.urls.direct, `s${series}w${index}`, { pauseMs: PAUSE_MS, ...options }),
  );
  for (const writer of writers) writer.start();
  try {
    await Promise.all(writers.map((writer) => writer.advance(WARM_UP_ROWS, 30_000)));
    const since = performance.now();
    await inject(before, writers);
    await Promise.all(writers.map((writer) => writer.advance(ROWS_AFTER, options.recoverMs ?? 30_000)));
    await options.settle?.();
    const outageMs = Math.max(...writers.map((writer) => writer.longestGapMs(since)));
    const after = await cluster.leader();
    await Promise.all(writers.map((writer) => writer.stop()));
    await checkNothingLost(cluster, writers);
    return {
      outageMs,
      before,
      after,
      acknowledged: writers.reduce((sum, writer) => sum + writer.acknowledged.length, 0),
      errors: writers.flatMap((writer) => writer.errors),
    };
  } finally {
    await Promise.all(writers.map((writer) => writer.stop()));
  }
}

/** One of the faults of the table, with its repair. */
export async function faultUnderWrites(cluster: TestCluster, fault: Fault, options: FaultRunOptions = {}): Promise<FaultRun> {
  const run = await underWrites(cluster, (primary, writers) => fault.inject(cluster, primary, writers), options);
  await fault.repair?.(cluster, run.before);
  return run;
}

/** H1 and H2 as a client sees them. */
async function checkNothingLost(cluster: TestCluster, writers: readonly NumberedWriter[]): Promise<void> {
  const client = await cluster.connect();
  try {
    for (const writer of writers) {
      const missing = await writer.missing(client);
      if (missing.length > 0)
        throw new Error(`H2: ${missing.length} acknowledged rows are missing: ${missing.slice(0, 10).join(', ')}`);
    }
  } finally {
    await client.end();
  }
  const both = overlaps(writers);
  if (both.length > 0) throw new Error(`H1: two servers acknowledged in the same moment: ${both.slice(0, 5).join(', ')}`);
}
