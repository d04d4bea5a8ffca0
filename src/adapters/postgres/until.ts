import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { giveUp } from './job-error.ts';

export interface UntilOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** What has not come about, for the message. */
  readonly what: string;
  /** Between two looks at what PostgreSQL offers no event for. Default 3. */
  readonly everyMs?: number;
}

/** Looks again until `probe` returns something. Throws a JobError: `cancelled` on abort, `failed` when the time is up. */
export async function until<Value>(
  probe: () => Promise<Value | undefined> | Value | undefined,
  options: UntilOptions,
): Promise<Value> {
  const deadline = performance.now() + options.timeoutMs;
  for (;;) {
    if (options.signal.aborted) giveUp('cancelled', `stopped while waiting: ${options.what}`);
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) giveUp('failed', `not within ${options.timeoutMs} ms: ${options.what}`);
    await sleep(options.everyMs ?? 3);
  }
}
