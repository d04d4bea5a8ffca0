import { kill } from '#adapters/process/processes.ts';
import type { JobResult } from '#domain/server.ts';
import { setGate } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { until } from '../until.ts';

const TIMEOUT_MS = 2000;

export async function gate(context: JobContext, open: boolean, cut: boolean): Promise<JobResult> {
  await setGate(context, open);
  if (cut) await cutClients(context);
  return { ok: true };
}

/**
 * Ends every client, and waits until they are gone. A connection that was let in by the old rules may still be authenticating: it is
 * in no view, so every child of the postmaster that no view knows is ended too. Our own and the standbys' come back by themselves.
 */
export async function cutClients(context: JobContext): Promise<void> {
  const { agent, replication } = context.memory.secrets;
  const before = context.postmaster.children().map((child) => child.pid);
  const known = await context.work.query<{ pid: number }>('SELECT pid FROM pg_stat_activity', [], { timeoutMs: TIMEOUT_MS });
  const unknown = new Set(before);
  for (const { pid } of known) unknown.delete(pid);
  for (const pid of unknown) kill(pid, 'SIGTERM');
  await until(
    async () => {
      const [row] = await context.work.query<{ count: number }>(
        `SELECT count(pg_terminate_backend(pid))::int AS count FROM pg_stat_activity
          WHERE backend_type IN ('client backend', 'walsender') AND usename IS DISTINCT FROM $1 AND usename IS DISTINCT FROM $2`,
        [agent.name, replication.name],
        { timeoutMs: TIMEOUT_MS, prepared: 'cut' },
      );
      return row?.count === 0 ? true : undefined;
    },
    { signal: context.signal, timeoutMs: TIMEOUT_MS, what: 'the clients are gone', everyMs: 5 },
  );
}
