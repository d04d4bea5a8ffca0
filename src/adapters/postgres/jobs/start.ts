import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { readProcess } from '#adapters/process/processes.ts';
import type { JobResult, Upstream } from '#domain/server.ts';
import { accessRules } from '../access-file.ts';
import { NO_PASSWORDS } from '../conninfo.ts';
import { giveUp } from '../job-error.ts';
import { look } from '../live-query.ts';
import { syncFolder } from '../owned-files.ts';
import { DEFAULT_STALL_TIMEOUT_MS } from '../postgres-options.ts';
import { undoAlterSystem } from '../reload.ts';
import type { JobContext } from '../server-context.ts';
import { dataVersion } from '../stopped-server.ts';
import { formatSync, NOBODY, waitsFromTheStart } from '../sync-names.ts';
import { eraseTornRecord } from '../torn-record.ts';
import { until } from '../until.ts';
import { withoutPageHeader } from '../wal-layout.ts';
import { adoptDataDir, clearRemains, clearSocketLock, prepareFiles } from './prepare.ts';
import { dropMemberSlots } from './slots.ts';
import { upstreamSettings, writePassfile } from './upstream.ts';

const ANSWER_TIMEOUT_MS = 1000;

/** As it is, on the timeline it has, behind the closed gate, and acknowledging nothing. */
export async function startPrimary(context: JobContext): Promise<JobResult> {
  await prepareStart(context, 'primary', null);
  await launch(context);
  const found = await look(context.work, ANSWER_TIMEOUT_MS);
  if (found.inRecovery) giveUp('failed', 'it came up as a standby');
  const lineage =
    found.timeline === 1 ? [] : ((await context.histories.lineage(found.timeline, context.work, ANSWER_TIMEOUT_MS)) ?? []);
  const lsn = withoutPageHeader(found.insert, context.memory.walSizes);
  return { ok: true, log: { position: { timeline: found.timeline, lsn }, lineage } };
}

/** Clients may read from a standby, so its gate is open; a promotion closes it. */
export async function startStandby(context: JobContext, upstream: Upstream | null): Promise<JobResult> {
  await prepareStart(context, 'standby', upstream);
  await launch(context);
  // Slots of a time as primary would hold back WAL for members that stream from somebody else now.
  await dropMemberSlots(context, []);
  return { ok: true };
}

async function prepareStart(context: JobContext, as: 'primary' | 'standby', upstream: Upstream | null): Promise<void> {
  const { layout, files, postmaster } = context;
  if (postmaster.pid() !== undefined) giveUp('failed', 'the server runs already');
  await prepareFiles(context);
  await clearRemains(layout.dataDir);
  await clearSocketLock(context);
  const stopped = await context.stopped.inspect();
  if (stopped === undefined) giveUp('failed', 'there is no complete data directory');
  await context.walFolders.sweep();
  if (as === 'standby') {
    await context.stopped.removeHistoriesBeyond(stopped.position.timeline);
    if (!stopped.clean && (await eraseTornRecord(layout.walDir, stopped.position, stopped.control.sizes)))
      context.log('erased the beginning of a record whose rest was never written');
  }
  await adoptDataDir(context, layout.dataDir, stopped.control);
  await undoAlterSystem(context);
  await rm(join(layout.dataDir, 'recovery.signal'), { force: true });
  if (as === 'primary') await rm(join(layout.dataDir, 'standby.signal'), { force: true });
  else await files.write(join(layout.dataDir, 'standby.signal'), '');
  await syncFolder(layout.dataDir);
  await files.writeIfChanged(layout.accessFile, accessRules(context.memory, as === 'standby'));
  if (upstream === null) await files.write(layout.passfile, NO_PASSWORDS);
  else await writePassfile(context);
  await context.role.write({ sync: NOBODY, clusterName: context.incarnation, ...upstreamSettings(context, upstream) });
  context.memory.syncInForce = undefined;
  context.memory.startedAt = stopped.position;
  context.memory.walSizes = stopped.control.sizes;
  context.histories.forget();
}

/**
 * Starts the postmaster and waits until it answers. There is no deadline for recovery as long as it gets on; one that stands still
 * for the stall timeout has failed, and goes on running: it may be waiting for WAL that comes.
 */
async function launch(context: JobContext): Promise<void> {
  const { postmaster, layout } = context;
  const logStart = await stat(layout.logFile).then(
    (found) => found.size,
    () => 0,
  );
  context.work.drop();
  postmaster.start();
  const stallMs = context.options.stallTimeoutMs ?? DEFAULT_STALL_TIMEOUT_MS;
  let progress = '';
  let progressAt = performance.now();
  await until(
    async () => {
      if (postmaster.pid() === undefined) await failedToStart(context, logStart);
      if (postmaster.isReady() && (await knowSync(context).catch(() => false))) return true;
      const now = progressOf(context);
      if (now !== progress) progressAt = performance.now();
      progress = now;
      if (performance.now() - progressAt > stallMs) await failedToStart(context, logStart);
      return undefined;
    },
    { signal: context.signal, timeoutMs: Number.POSITIVE_INFINITY, what: 'the server answers', everyMs: 10 },
  );
}

/**
 * Every process of a server that has just been started follows the names that its files had then. Releases before May 2025 let commits
 * pass that come before the checkpointer has done so: with those, it has to be seen. Rejects when the server does not answer.
 */
async function knowSync({ work, memory }: JobContext): Promise<true> {
  const [row] = await work.query<{ version: number }>("SELECT current_setting('server_version_num')::int AS version", [], {
    timeoutMs: ANSWER_TIMEOUT_MS,
  });
  if (row !== undefined && waitsFromTheStart(row.version)) memory.syncInForce = formatSync(NOBODY);
  return true;
}

/** Changes as long as the startup process works: its title names the segment, its CPU time the rest. */
function progressOf(context: JobContext): string {
  const startup = context.postmaster.children().find((child) => /: startup\b/.test(child.title));
  return startup === undefined ? '' : `${startup.title} ${readProcess(startup.pid)?.cpuTicks}`;
}

/** What no second start changes: the log on disk and the history that it has to follow do not fit together. */
const UNUSABLE =
  /requested timeline \d+ (?:is not a child|does not contain)|valid checkpoint record|invalid (?:primary )?checkpoint record/;

async function failedToStart(context: JobContext, logStart: number): Promise<never> {
  const why = await startFailure(context, logStart);
  giveUp(UNUSABLE.test(why) ? 'unusable' : 'failed', why);
}

async function startFailure(context: JobContext, logStart: number): Promise<string> {
  if (context.postmaster.startFailure !== undefined) return context.postmaster.startFailure;
  const said = await logSince(context.layout.logFile, logStart);
  const { host, port, binDir } = context.options;
  if (/Address already in use|could not create any TCP\/IP sockets/.test(said))
    return `${host}:${port} is in use by another program`;
  if (/database files are incompatible with server/.test(said)) {
    return `the data directory was made by PostgreSQL ${await dataVersion(context.layout.dataDir)}, the programs in ${binDir} are of another version`;
  }
  const lines = said.split('\n').filter((line) => /FATAL|PANIC|ERROR|HINT|DETAIL|could not|parameter "/.test(line));
  return `the server did not come up: ${lines.slice(-3).join(' · ').slice(-500) || 'it says nothing'}`;
}

async function logSince(path: string, start: number): Promise<string> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      // The log may have been moved away; then everything in it is new.
      const from = Math.max(size < start ? 0 : start, size - 65_536);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - from), 0, size - from, from);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return '';
  }
}
