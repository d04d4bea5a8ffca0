import { performance } from 'node:perf_hooks';
import { kill } from '#adapters/process/processes.ts';
import type { JobResult } from '#domain/server.ts';
import { NO_PASSWORDS } from '../conninfo.ts';
import { giveUp, JobError } from '../job-error.ts';
import { look } from '../live-query.ts';
import { whereaboutsOf } from '../live-view.ts';
import { reload, undoAlterSystem } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { until } from '../until.ts';

/** Longer than a walreceiver needs to finish an fsync; shorter than anybody waits for a promise. */
const RECEIVER_TIMEOUT_MS = 600;
const ANSWER_TIMEOUT_MS = 500;

// Its titles (src/backend/replication/walreceiver.c); a client's ends with its database, host and state.
const WALRECEIVER = /: walreceiver(?: idle| streaming \S+| restarting from \S+)?$/;

/**
 * Step 3 (b) to (d). The password file goes first: a walreceiver that is only being started finds no password, whenever the
 * startup process gets to reading the new settings. A server that does not answer within the time is ended, with all its processes,
 * and its WAL is read from the files: a promise must not wait for it, and it must not confirm anything after the promise.
 */
export async function detach(context: JobContext): Promise<JobResult> {
  await context.files.write(context.layout.passfile, NO_PASSWORDS);
  if (context.postmaster.pid() !== undefined) {
    try {
      return { ok: true, log: await detachRunning(context) };
    } catch (error) {
      if (error instanceof JobError && error.code === 'cancelled') throw error;
      context.log(`the standby does not let go of its upstream (${(error as Error).message}): ending it`);
      await context.postmaster.killAll();
      context.stopped.forget();
    }
  }
  await undoAlterSystem(context);
  await context.role.write({ conninfo: '', slot: '' });
  const stopped = await context.stopped.inspect();
  if (stopped === undefined) giveUp('failed', 'there is no data directory');
  return { ok: true, log: { position: stopped.position, lineage: stopped.lineage } };
}

async function detachRunning(context: JobContext) {
  await undoAlterSystem(context);
  const generation = await context.role.write({ conninfo: '', slot: '' });
  // Not in turn: with a frozen postmaster the walreceiver can still be ended.
  const reloaded = reload(context, generation, ANSWER_TIMEOUT_MS).catch((error: unknown) =>
    context.log(`reload: ${String(error)}`),
  );
  await endWalreceiver(context);
  await reloaded;
  // One that was forked before the startup process had the new settings. It has no password; it is looked for all the same.
  await endWalreceiver(context);
  const found = await look(context.work, ANSWER_TIMEOUT_MS);
  if (!found.inRecovery) giveUp('failed', 'it is a primary');
  if (found.received === null && context.memory.startedAt === undefined) return scanRunning(context);
  return whereaboutsOf(found, context, context.work, ANSWER_TIMEOUT_MS);
}

/** SIGTERM by pid (SQL refuses), until there is no such process; the view is empty while one is connecting. */
async function endWalreceiver(context: JobContext): Promise<void> {
  await until(
    () => {
      const receivers = walreceivers(context);
      for (const { pid } of receivers) kill(pid, 'SIGTERM');
      return receivers.length === 0 ? true : undefined;
    },
    { signal: context.signal, timeoutMs: RECEIVER_TIMEOUT_MS, what: 'the walreceiver ends', everyMs: 2 },
  );
}

/**
 * A server that was adopted after it had started without an upstream: it tells only what it has replayed. It has replayed everything
 * when the startup process, out of WAL, waits to look again.
 */
async function scanRunning(context: JobContext) {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS;
  do {
    const found = await look(context.work, ANSWER_TIMEOUT_MS);
    if (found.startupWait === 'RecoveryRetrieveRetryInterval' || found.startupWait === 'RecoveryWalStream') {
      // Once more: the position of that look may be older than the wait that it saw.
      const settled = await look(context.work, ANSWER_TIMEOUT_MS);
      return whereaboutsOf(settled, context, context.work, ANSWER_TIMEOUT_MS);
    }
  } while (performance.now() < deadline);
  // Paused, delayed or busy: the files tell.
  const position = await context.stopped.inspectWal();
  context.memory.startedAt = position.position;
  return position;
}

export function walreceivers(context: JobContext) {
  return context.postmaster.children().filter((child) => WALRECEIVER.test(child.title));
}
