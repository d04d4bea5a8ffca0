import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn } from '#domain/lsn.ts';
import type { Position } from '#domain/position.ts';
import { isDiskFull } from '../job-error.ts';
import { DEFAULT_DIVERGED_LIMIT_BYTES } from '../postgres-options.ts';
import type { JobContext } from '../server-context.ts';
import type { StoppedState } from '../stopped-server.ts';
import { parseSegmentName } from '../timeline-history.ts';

/**
 * Copies the WAL that a rejoin may give up: the newest segments since the last checkpoint, within the limit for this and everything
 * kept before, of which the oldest goes first. Returns the folder.
 */
export async function copyAside(context: JobContext, before: StoppedState): Promise<string> {
  const { layout, options } = context;
  const { segmentBytes } = before.control.sizes;
  const name = `${before.position.timeline}-${formatLsn(before.position.lsn).replace('/', '-')}`;
  const folder = join(layout.divergedDir, name);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const segments = (await readdir(layout.walDir))
    .map((file) => ({ file, segment: parseSegmentName(file, segmentBytes) }))
    .filter(({ segment }) => segment?.timeline === before.position.timeline && segment.start < before.position.lsn)
    .filter(({ segment }) => segment !== undefined && segment.start + BigInt(segmentBytes) > before.control.redo)
    .sort((a, b) => (a.file < b.file ? 1 : -1));
  let left = options.divergedLimitBytes ?? DEFAULT_DIVERGED_LIMIT_BYTES;
  try {
    for (const { file } of segments) {
      left -= (await stat(join(layout.walDir, file))).size;
      if (left < 0) break;
      await copyFile(join(layout.walDir, file), join(folder, file));
    }
    await forgetOldest(layout.divergedDir, name, left);
  } catch (error) {
    // A full disk must not keep the member away: the rejoin is what frees it.
    if (!isDiskFull(error)) throw error;
    context.log('the disk is full: the WAL that is given up is not kept');
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { mode: 0o700 });
  }
  return folder;
}

/** Keeps the segments that reach beyond the fork; without a fork nothing was given up. */
export async function keepOnly(folder: string, fork: Position | null, segmentBytes: number): Promise<void> {
  if (fork === null) return rm(folder, { recursive: true, force: true });
  for (const name of await readdir(folder)) {
    const segment = parseSegmentName(name, segmentBytes);
    if (segment !== undefined && segment.start + BigInt(segmentBytes) <= fork.lsn) await rm(join(folder, name));
  }
}

/** Removes the oldest folders until the others fit into what is left. */
async function forgetOldest(divergedDir: string, newest: string, leftBytes: number): Promise<void> {
  const others = await Promise.all(
    (await readdir(divergedDir))
      .filter((name) => name !== newest)
      .map(async (name) => {
        const path = join(divergedDir, name);
        const sizes = await Promise.all((await readdir(path)).map(async (file) => (await stat(join(path, file))).size));
        return { path, at: (await stat(path)).mtimeMs, bytes: sizes.reduce((sum, size) => sum + size, 0) };
      }),
  );
  let left = leftBytes;
  for (const { path, bytes } of others.sort((a, b) => b.at - a.at)) {
    left -= bytes;
    if (left < 0) await rm(path, { recursive: true, force: true });
  }
}
