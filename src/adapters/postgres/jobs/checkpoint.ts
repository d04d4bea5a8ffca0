import { performance } from 'node:perf_hooks';
import type { JobResult } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import type { ServerContext } from '../server-context.ts';

/** A checkpoint of a large server on a slow disk. */
const LIMIT_MS = 600_000;
const ASK_EVERY_MS = 1000;
const FROZEN_AFTER_MS = 5000;

/** Runs beside other jobs, on connections of its own. As long as the server answers others, the checkpoint may take its time. */
export async function checkpoint(context: ServerContext): Promise<JobResult> {
  const session = context.openSession({ name: 'matriarch checkpoint' });
  const witness = context.openSession({ name: 'matriarch checkpoint witness' });
  let answeredAt = performance.now();
  let asking = false;
  const timer = setInterval(() => {
    if (performance.now() - answeredAt > FROZEN_AFTER_MS) session.drop();
    if (asking) return;
    asking = true;
    witness
      .query('SELECT', [], { timeoutMs: ASK_EVERY_MS })
      .then(
        () => {
          answeredAt = performance.now();
        },
        () => {},
      )
      .finally(() => {
        asking = false;
      });
  }, ASK_EVERY_MS);
  try {
    // The first question has a short deadline: a frozen server takes no connection.
    await session.query('SELECT', [], { timeoutMs: ASK_EVERY_MS });
    await session.query('CHECKPOINT', [], { timeoutMs: LIMIT_MS });
    return { ok: true };
  } catch (error) {
    giveUp('failed', `checkpoint: ${(error as Error).message}`, error);
  } finally {
    clearInterval(timer);
    session.drop();
    witness.drop();
  }
}
