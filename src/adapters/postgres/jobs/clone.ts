import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Position, Timeline } from '#domain/position.ts';
import type { JobResult, Upstream } from '#domain/server.ts';
import { formatConninfo, passfileLine, upstreamParts } from '../conninfo.ts';
import { giveUp, messageOf } from '../job-error.ts';
import { readIfThere } from '../owned-files.ts';
import { type JobContext, tool } from '../server-context.ts';
import type { StoppedState } from '../stopped-server.ts';
import { forkOf, historyName, parseHistory } from '../timeline-history.ts';
import { complaint } from '../tool.ts';
import { copyAside, keepOnly } from './keep-aside.ts';
import { adoptDataDir, endStrayTools, prepareFiles } from './prepare.ts';
import { stopServer } from './stop.ts';

/** pg_basebackup's progress: `12345/67890 kB (18%), 0/1 tablespace`. */
const PROGRESS = /^\s*(\d+)\/(\d+) kB/;

/** A new data directory beside the old one, which is replaced only when the new one is complete. */
export async function clone(context: JobContext, upstream: Upstream): Promise<JobResult> {
  const { layout, files, memory } = context;
  await stopServer(context, 'fast');
  await prepareFiles(context);
  await endStrayTools(layout.memberDir);
  await rm(layout.newDataDir, { recursive: true, force: true });
  // A directory that cannot even be read is what a clone is for.
  const before = await context.stopped.inspect().catch((error: unknown) => {
    context.log(messageOf(error));
    return undefined;
  });
  await files.write(layout.toolPassfile, passfileLine(memory.secrets.replication));
  await files.folder(layout.newDataDir);
  try {
    await backup(context, upstream);
  } catch (error) {
    await rm(layout.newDataDir, { recursive: true, force: true });
    await context.walFolders.sweep();
    throw error;
  } finally {
    await rm(layout.toolPassfile, { force: true });
  }
  const control = await context.stopped.control(layout.newDataDir);
  await adoptDataDir(context, layout.newDataDir, control);
  await files.write(join(layout.newDataDir, 'standby.signal'), '');
  const fork = before === undefined ? null : await forkFrom(context, before, control.timeline);
  if (before !== undefined && fork !== null) {
    await keepOnly(await copyAside(context, before), fork, before.control.sizes.segmentBytes);
  }
  await context.stopped.swapIn();
  await context.walFolders.sweep();
  context.histories.forget();
  return before === undefined || fork === null ? { ok: true } : { ok: true, gaveUp: { from: fork, to: before.position } };
}

/** Where the log that is replaced leaves the new one. */
async function forkFrom(context: JobContext, before: StoppedState, timeline: Timeline): Promise<Position | null> {
  const { newDataDir } = context.layout;
  const history = await readIfThere(join(newDataDir, 'pg_wal', historyName(timeline)));
  return forkOf(before.position, before.lineage, timeline, parseHistory(history ?? '') ?? []);
}

async function backup(context: JobContext, upstream: Upstream): Promise<void> {
  const { layout, memory } = context;
  const walFolder = await context.walFolders.fresh();
  const conninfo = formatConninfo({
    ...upstreamParts(upstream, layout, memory.secrets.replication, layout.toolPassfile),
    // Not the member's name: what is only being copied must not count as confirmed.
    application_name: 'pg_basebackup',
  });
  const startedAt = performance.now();
  const result = await tool(
    context,
    'pg_basebackup',
    [
      '-D',
      layout.newDataDir,
      '-d',
      conninfo,
      '--wal-method=stream',
      '--checkpoint=fast',
      '--progress',
      '--no-password',
      ...(walFolder === undefined ? [] : ['--waldir', walFolder]),
    ],
    {
      signal: context.signal,
      onLine: (line) => {
        const match = PROGRESS.exec(line);
        if (match !== null) context.onProgress(describe(Number(match[1]), Number(match[2]), performance.now() - startedAt));
      },
    },
  );
  if (result.code !== 0) giveUp('failed', `pg_basebackup: ${complaint(result)}`);
}

/** `312 of 780 MB, 104 MB/s` */
function describe(doneKb: number, totalKb: number, elapsedMs: number): string {
  const mb = (kb: number) => Math.round(kb / 1024);
  return `${mb(doneKb)} of ${mb(Math.max(doneKb, totalKb))} MB, ${Math.round(doneKb / 1.024 / Math.max(1, elapsedMs))} MB/s`;
}
