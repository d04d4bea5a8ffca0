import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobResult } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import type { JobContext } from '../server-context.ts';

const ANSWER_TIMEOUT_MS = 1000;

const OPEN = `
SELECT coalesce(array_agg(pid || '@' || extract(epoch FROM xact_start)), '{}') AS open FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND usename IS DISTINCT FROM $1`;

/** Ends when each transaction that is open now has ended, or when the time is up: what is left then is cut by what follows. */
export async function drain(context: JobContext, timeoutMs: number): Promise<JobResult> {
  const deadline = performance.now() + timeoutMs;
  let waited: readonly string[] | undefined;
  for (;;) {
    if (context.signal.aborted) giveUp('cancelled', 'stopped while draining');
    const [row] = await context.work.query<{ open: string[] }>(OPEN, [context.memory.secrets.agent.name], {
      timeoutMs: ANSWER_TIMEOUT_MS,
      prepared: 'drain',
    });
    const open = row?.open ?? [];
    waited = waited === undefined ? open : waited.filter((transaction) => open.includes(transaction));
    if (waited.length === 0) return { ok: true };
    if (performance.now() > deadline) {
      context.log(`${waited.length} transactions are still open after ${timeoutMs} ms`);
      return { ok: true };
    }
    await sleep(10);
  }
}
