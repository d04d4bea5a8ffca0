import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLsn } from '#domain/lsn.ts';
import { comparePositions, type Position } from '#domain/position.ts';
import type { JobResult, Upstream } from '#domain/server.ts';
import { formatConninfo, passfileLine, upstreamParts } from '../conninfo.ts';
import { giveUp } from '../job-error.ts';
import { removeDurably } from '../owned-files.ts';
import { type JobContext, tool } from '../server-context.ts';
import { complaint, type ToolResult } from '../tool.ts';
import { copyAside, keepOnly } from './keep-aside.ts';
import { adoptDataDir, clearRemains, endStrayTools, prepareFiles } from './prepare.ts';
import { stopServer } from './stop.ts';

const DIVERGED_AT = /servers diverged at WAL location ([0-9A-F]+\/[0-9A-F]+) on timeline (\d+)/;
/** Nobody was reached, and nothing was changed: it may be tried again. */
const NOT_REACHED = /connection to server .*failed|could not connect to server/;
/** It compares the system identifiers before it changes anything; a directory of another cluster is not ours to break. */
const FOREIGN = /from different systems/;

/**
 * pg_rewind. What is given up is copied aside first, since the rewind removes it. While it works a marker says that the directory is
 * worth nothing: a rewind that was interrupted leaves neither the old state nor the new one.
 */
export async function rewind(context: JobContext, upstream: Upstream): Promise<JobResult> {
  const { layout, files, memory, stopped, histories } = context;
  await stopServer(context, 'fast');
  await prepareFiles(context);
  await endStrayTools(layout.memberDir);
  await clearRemains(layout.dataDir);
  const before = await stopped.inspect();
  if (before === undefined) giveUp('unusable', 'there is no complete data directory');
  await adoptDataDir(context, layout.dataDir, before.control);
  await files.write(layout.toolPassfile, passfileLine(memory.secrets.replication));
  const aside = await copyAside(context, before);
  await files.write(layout.rewindMarker, `${JSON.stringify({ upstream: upstream.member })}\n`);
  // After an unclean end pg_rewind recovers the server first, in single-user mode, which knows no standby.
  const signal = join(layout.dataDir, 'standby.signal');
  await rm(signal, { force: true });
  let result: ToolResult;
  try {
    result = await runRewind(context, upstream);
  } finally {
    await rm(layout.toolPassfile, { force: true });
  }
  if (result.code !== 0) {
    const reached = !NOT_REACHED.test(result.stderr);
    if (!reached || FOREIGN.test(result.stderr)) {
      if (before.standbySignal) await files.write(signal, '');
      await removeDurably(layout.rewindMarker);
    }
    // Whatever else failed (WAL that is gone, histories that do not join, a half that is copied) would fail again.
    giveUp(reached ? 'unusable' : 'failed', `pg_rewind: ${complaint(result)}`);
  }
  await adoptDataDir(context, layout.dataDir, before.control);
  await files.write(signal, '');
  await rm(join(layout.dataDir, 'postmaster.pid'), { force: true });
  await rm(layout.promotionMarker, { force: true });
  await removeDurably(layout.rewindMarker);
  stopped.forget();
  histories.forget();
  const parted = forkIn(result);
  const fork = parted !== null && comparePositions(parted, before.position) < 0 ? parted : null;
  await keepOnly(aside, fork, before.control.sizes.segmentBytes);
  if (fork === null) return { ok: true };
  return { ok: true, gaveUp: { from: fork, to: before.position } };
}

function runRewind(context: JobContext, upstream: Upstream): Promise<ToolResult> {
  const { layout, memory } = context;
  const parts = upstreamParts(upstream, layout, memory.secrets.replication, layout.toolPassfile);
  const source = formatConninfo({ ...parts, dbname: 'postgres', application_name: 'pg_rewind' });
  return tool(context, 'pg_rewind', ['-D', layout.dataDir, `--source-server=${source}`, '--progress'], {
    signal: context.signal,
    onLine: (line) => context.onProgress(line.replace(/^pg_rewind: /, '').trim()),
  });
}

function forkIn({ stderr, stdout }: ToolResult): Position | null {
  const match = DIVERGED_AT.exec(`${stderr}\n${stdout}`);
  const lsn = parseLsn(match?.[1] ?? '');
  return lsn === undefined ? null : { timeline: Number(match?.[2]), lsn };
}
