import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, type Lsn, parseLsn } from '#domain/lsn.ts';
import type { Timeline } from '#domain/position.ts';
import { parseSegmentName, segmentName } from './timeline-history.ts';
import type { ToolResult } from './tool.ts';
import { recordEnd, segmentEnd, type WalSizes } from './wal-layout.ts';

const RECORD = /^rmgr: (\S+)\s+len \(rec\/tot\):\s*\d+\/\s*(\d+), tx:\s*\d+, lsn: ([0-9A-Fa-f]+\/[0-9A-Fa-f]+), .*?desc: (\S+)/;

/** Runs pg_waldump with these arguments. */
export type Waldump = (args: readonly string[]) => Promise<ToolResult>;

/** The timelines that have segments in pg_wal. */
export async function timelinesWithWal(walDir: string, sizes: WalSizes): Promise<readonly Timeline[]> {
  const found = new Set<Timeline>();
  for (const name of await readdir(walDir)) {
    const segment = parseSegmentName(name, sizes.segmentBytes);
    if (segment !== undefined) found.add(segment.timeline);
  }
  return [...found].sort((a, b) => a - b);
}

/**
 * The end of the last valid record of `timeline` on disk, at least `from`. WAL is written in order, and a segment is synced before
 * the next one begins, so only the last segment that was begun has to be read; recycled ones, whose content is old, are told by the
 * address on their first page.
 */
export async function findWalEnd(walDir: string, timeline: Timeline, from: Lsn, sizes: WalSizes, waldump: Waldump): Promise<Lsn> {
  const starts: Lsn[] = [];
  for (const name of await readdir(walDir)) {
    const segment = parseSegmentName(name, sizes.segmentBytes);
    const end = segment === undefined ? 0n : segment.start + BigInt(sizes.segmentBytes);
    if (segment?.timeline === timeline && end > from) starts.push(segment.start);
  }
  starts.sort((a, b) => (a < b ? 1 : a > b ? -1 : 0));
  for (const start of starts) {
    if (!(await isBegun(join(walDir, segmentName(timeline, start, sizes.segmentBytes)), start))) continue;
    const first = start > from ? start : from;
    const limit = endOfRow(starts, start, sizes);
    const output = await waldump(['-p', walDir, '-t', String(timeline), '-s', formatLsn(first), '-e', formatLsn(limit)]);
    const end = lastRecordEnd(output.stdout, sizes);
    // A segment may hold nothing but the rest of a record, torn or complete; then the one before knows where that ends.
    if (end !== undefined) return end > from ? end : from;
  }
  return from;
}

/** Where the unbroken row of segments from `start` on ends: pg_waldump waits five seconds for a segment that is not there. */
function endOfRow(starts: readonly Lsn[], start: Lsn, sizes: WalSizes): Lsn {
  let end = start + BigInt(sizes.segmentBytes);
  while (starts.includes(end)) end += BigInt(sizes.segmentBytes);
  return end;
}

/** The end of the last record that pg_waldump printed. */
export function lastRecordEnd(stdout: string, sizes: WalSizes): Lsn | undefined {
  let to = stdout.length;
  while (to > 0) {
    const at = stdout.lastIndexOf('\n', to - 1);
    const match = RECORD.exec(stdout.slice(at + 1, to));
    const start = parseLsn(match?.[3] ?? '');
    if (match !== null && start !== undefined) {
      const end = recordEnd(start, Number(match[2]), sizes);
      return match[1] === 'XLOG' && match[4]?.startsWith('SWITCH') === true ? segmentEnd(end, sizes) : end;
    }
    to = at;
  }
  return undefined;
}

async function isBegun(path: string, start: Lsn): Promise<boolean> {
  const handle = await open(path, 'r');
  try {
    const header = Buffer.alloc(16);
    const { bytesRead } = await handle.read(header, 0, 16, 0);
    return bytesRead === 16 && header.readUInt16LE(0) !== 0 && header.readBigUInt64LE(8) === start;
  } finally {
    await handle.close();
  }
}
