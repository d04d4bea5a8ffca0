import type { JobResult } from '#domain/server.ts';
import { DEFAULT_STOP_TIMEOUT_MS } from '../postgres-options.ts';
import type { ServerContext } from '../server-context.ts';
import { clearRemains } from './prepare.ts';

export async function stop(context: ServerContext, mode: 'fast' | 'kill'): Promise<JobResult> {
  await stopServer(context, mode);
  if (mode === 'kill') return { ok: true };
  const stopped = await context.stopped.inspect();
  return stopped === undefined ? { ok: true } : { ok: true, log: { position: stopped.position, lineage: stopped.lineage } };
}

/** Ends when the server and every backend are gone. `fast` is SIGINT: a shutdown checkpoint, sent to the standbys that stream. */
export async function stopServer(context: ServerContext, mode: 'fast' | 'kill'): Promise<void> {
  const { postmaster } = context;
  if (postmaster.pid() !== undefined) {
    const asked = mode === 'fast' && postmaster.signal('SIGINT');
    const ended = asked && (await postmaster.waitEnd(context.options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS));
    if (asked && !ended) context.log('the fast stop takes too long: killing the server');
    if (!ended) await postmaster.killAll();
  }
  await clearRemains(context.layout.dataDir);
  context.work.drop();
  context.memory.syncInForce = undefined;
  context.memory.startedAt = undefined;
  context.stopped.forget();
}
