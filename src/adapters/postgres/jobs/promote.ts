import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Lineage, Timeline } from '#domain/position.ts';
import type { JobResult } from '#domain/server.ts';
import { giveUp } from '../job-error.ts';
import { look } from '../live-query.ts';
import { whereaboutsOf } from '../live-view.ts';
import { removeDurably, syncFolder } from '../owned-files.ts';
import { isOpen, reload, setGate, undoAlterSystem } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { NOBODY } from '../sync-names.ts';
import { formatHistory, historyName, lineageOf, PLACEHOLDER } from '../timeline-history.ts';
import { until } from '../until.ts';
import { withoutPageHeader } from '../wal-layout.ts';
import { detach, walreceivers } from './detach.ts';
import { tookAnotherPath } from './follow.ts';
import { cutClients } from './gate.ts';
import { startPrimary, startStandby } from './start.ts';
import { stopServer } from './stop.ts';

const ANSWER_TIMEOUT_MS = 1000;
/** object_not_in_prerequisite_state: "recovery is not in progress". */
const NOT_IN_RECOVERY = '55000';
/** How long a promotion goes on without replaying anything. */
const STALL_MS = 10_000;
/** Numbers that claims have used up since the last promotion; far more than any election burns. */
const GAP_LIMIT = 10_000;

/**
 * Ends on exactly `timeline`, acknowledging nothing and admitting nobody. Repeated after whatever ended it half way, it comes to the
 * same end: a server that is a primary on `timeline` already is left as it is, one that is a standby on it becomes its primary.
 */
export async function promote(context: JobContext, timeline: Timeline): Promise<JobResult> {
  if (context.postmaster.pid() === undefined) await startStandby(context, null);
  let found = await look(context.work, ANSWER_TIMEOUT_MS);
  if (!found.inRecovery) return finish(context, timeline);
  if (walreceivers(context).length > 0 || (await context.role.read()).conninfo !== '') {
    await detach(context);
    found = await look(context.work, ANSWER_TIMEOUT_MS);
  }
  const { position, lineage } = await whereaboutsOf(found, context, context.work, ANSWER_TIMEOUT_MS);
  if (position.timeline === timeline) {
    await stopServer(context, 'fast');
    return startPrimary(context);
  }
  if (position.timeline > timeline || timeline - position.timeline > GAP_LIMIT) {
    await stopServer(context, 'fast');
    giveUp('wrongTimeline', `it is on timeline ${position.timeline} and cannot be promoted to ${timeline}`);
  }
  if (await tookAnotherPath(context, found)) {
    await stopServer(context, 'fast');
    await startStandby(context, null);
  }
  await closeGate(context);
  await reserveNumbers(context, timeline, lineage);
  await context.files.write(context.layout.promotionMarker, JSON.stringify({ timeline }));
  await context.work.query('SELECT pg_promote(false)', [], { timeoutMs: ANSWER_TIMEOUT_MS }).catch((error: { code?: string }) => {
    // An earlier attempt, whose agent was killed, has just come to its end: which timeline came out is looked at below.
    if (error.code !== NOT_IN_RECOVERY) throw error;
  });
  await promoted(context);
  return finish(context, timeline);
}

/** Those who read from the standby go too: they would be on a primary that has shown nobody yet that it leads. */
async function closeGate(context: JobContext): Promise<void> {
  await undoAlterSystem(context);
  if ((await context.role.read()).sync.sync.join() !== NOBODY.sync.join()) {
    await reload(context, await context.role.write({ sync: NOBODY }));
  }
  if (!(await isOpen(context))) return;
  await setGate(context, false);
  await cutClients(context);
}

/**
 * PostgreSQL takes the first number without a history file. So does a follower look for them, one after the other, and it fetches
 * each from its leader; that is why the low numbers are filled too, which a clone lacks: those of ancestors with their histories.
 */
async function reserveNumbers(context: JobContext, timeline: Timeline, lineage: Lineage): Promise<void> {
  const { walDir } = context.layout;
  let made = false;
  for (let number = 2; number < timeline; number++) {
    const isAncestor = lineage.some((ancestor) => ancestor.timeline === number);
    const text = isAncestor ? formatHistory(lineageOf(number, lineage)) : PLACEHOLDER;
    made = (await context.files.createOnce(join(walDir, historyName(number)), text)) || made;
  }
  if (made) await syncFolder(walDir);
  // Of an earlier promotion to this number that never came about.
  await removeDurably(join(walDir, historyName(timeline)));
  context.histories.forget();
}

async function promoted(context: JobContext): Promise<void> {
  let replayed = -1n;
  let movedAt = performance.now();
  await until(
    async () => {
      if (context.postmaster.pid() === undefined) giveUp('failed', 'the server ended while it was being promoted');
      const found = await look(context.work, ANSWER_TIMEOUT_MS);
      if (!found.inRecovery) return true;
      if (found.replayed !== replayed) movedAt = performance.now();
      replayed = found.replayed;
      if (performance.now() - movedAt > STALL_MS) giveUp('failed', 'the promotion does not come to its end');
      return undefined;
    },
    { signal: context.signal, timeoutMs: Number.POSITIVE_INFINITY, what: 'the promotion', everyMs: 2 },
  );
}

async function finish(context: JobContext, timeline: Timeline): Promise<JobResult> {
  context.histories.forget();
  context.memory.startedAt = undefined;
  const found = await look(context.work, ANSWER_TIMEOUT_MS);
  if (found.timeline !== timeline) {
    await context.postmaster.killAll();
    context.stopped.forget();
    giveUp('wrongTimeline', `the promotion took timeline ${found.timeline} instead of ${timeline}; the server was stopped`);
  }
  await removeDurably(context.layout.promotionMarker);
  const lineage = (await context.histories.lineage(timeline, context.work, ANSWER_TIMEOUT_MS)) ?? [];
  return { ok: true, log: { position: { timeline, lsn: withoutPageHeader(found.insert, context.memory.walSizes) }, lineage } };
}
