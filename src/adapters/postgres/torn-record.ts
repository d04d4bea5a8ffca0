import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Position } from '#domain/position.ts';
import { segmentName } from './timeline-history.ts';
import { type WalSizes, withPageHeader } from './wal-layout.ts';

/** src/include/access/xlogrecord.h: the smallest record is its header. */
const RECORD_HEADER_BYTES = 24;

/**
 * A server that died while a record crossed into a segment that was never made leaves the beginning of that record behind. It was
 * never valid and nobody has confirmed it, but a standby that is started there asks its leader for the missing segment, which the
 * leader may not have on that timeline, and claims to have received what is not there. The beginning is erased: then the WAL ends
 * where its last valid record ends. Anything but exactly this is left alone. Returns whether something was erased.
 */
export async function eraseTornRecord(walDir: string, end: Position, sizes: WalSizes): Promise<boolean> {
  const segmentBytes = BigInt(sizes.segmentBytes);
  const begin = withPageHeader(end.lsn, sizes);
  const start = begin - (begin % segmentBytes);
  if (
    end.lsn % segmentBytes === 0n ||
    (await exists(join(walDir, segmentName(end.timeline, start + segmentBytes, sizes.segmentBytes))))
  )
    return false;
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(join(walDir, segmentName(end.timeline, start, sizes.segmentBytes)), 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
  try {
    const header = Buffer.alloc(4);
    const offset = Number(begin - start);
    const { bytesRead } = await handle.read(header, 0, 4, offset);
    const length = header.readUInt32LE(0);
    const crosses = length >= RECORD_HEADER_BYTES && BigInt(length) > start + segmentBytes - begin;
    if (bytesRead !== 4 || !crosses) return false;
    await handle.write(Buffer.alloc(RECORD_HEADER_BYTES), 0, Math.min(RECORD_HEADER_BYTES, sizes.segmentBytes - offset), offset);
    await handle.sync();
    return true;
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
