import { kill } from '#adapters/process/processes.ts';
import { comparePositions, type Position } from '#domain/position.ts';
import type { JobResult, Upstream } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import { type Look, look } from '../live-query.ts';
import { whereaboutsOf } from '../live-view.ts';
import { reload, undoAlterSystem } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { until } from '../until.ts';
import { detach, walreceivers } from './detach.ts';
import { startStandby } from './start.ts';
import { stopServer } from './stop.ts';
import { upstreamSettings, writePassfile } from './upstream.ts';

const ANSWER_TIMEOUT_MS = 1000;
/** How long a fetch goes on without a byte. */
const FETCH_STALL_MS = 3000;

/** The running standby streams from `upstream` from now on, through its own slot, which the leader makes. */
export async function follow(context: JobContext, upstream: Upstream): Promise<JobResult> {
  const before = await context.role.read();
  const next = upstreamSettings(context, upstream);
  const moved = before.conninfo !== next.conninfo;
  const found = await look(context.work, ANSWER_TIMEOUT_MS);
  if (!found.inRecovery) giveUp('failed', 'it is a primary');
  if (moved && (await tookAnotherPath(context, found))) {
    await stopServer(context, 'fast');
    return startStandby(context, upstream);
  }
  await writePassfile(context);
  await undoAlterSystem(context);
  await reload(context, await context.role.write(next));
  // The startup process ends the old one, but not while replay is paused or delayed.
  if (moved) for (const { pid } of walreceivers(context)) kill(pid, 'SIGTERM');
  return { ok: true };
}

/**
 * A running recovery that has read the history of a leader whose WAL it never got has made that its target, and would refuse every
 * later leader that is no child of it; only a start makes it forget. Placeholders are no targets.
 */
export async function tookAnotherPath(context: JobContext, found: Look): Promise<boolean> {
  const { position } = await whereaboutsOf(found, context, context.work, ANSWER_TIMEOUT_MS);
  for (const timeline of found.histories) {
    if (timeline <= position.timeline) continue;
    if ((await context.histories.lineage(timeline, context.work, ANSWER_TIMEOUT_MS)) !== undefined) return true;
  }
  return false;
}

/** Streams up to `until` from a member of V, without a slot there, and ends detached again. */
export async function fetchWal(context: JobContext, upstream: Upstream, goal: Position): Promise<JobResult> {
  await writePassfile(context);
  await undoAlterSystem(context);
  await reload(context, await context.role.write({ ...upstreamSettings(context, upstream), slot: '' }));
  let last = '';
  let movedAt = performance.now();
  try {
    await until(
      async () => {
        const found = await look(context.work, ANSWER_TIMEOUT_MS);
        const { position } = await whereaboutsOf(found, context, context.work, ANSWER_TIMEOUT_MS);
        if (comparePositions(position, goal) >= 0) return true;
        const now = `${position.timeline} ${position.lsn}`;
        if (now !== last) movedAt = performance.now();
        last = now;
        if (performance.now() - movedAt > FETCH_STALL_MS) giveUp('failed', `${upstream.member} sends no WAL`);
        return undefined;
      },
      { signal: context.signal, timeoutMs: Number.POSITIVE_INFINITY, what: 'the missing WAL arrives', everyMs: 5 },
    );
  } catch (error) {
    // Whatever went wrong: nobody may be followed afterwards.
    await detach(context);
    throw error;
  }
  return detach(context);
}
