import type { Lsn } from '#domain/lsn.ts';

/** Size of the headers of a page, and of the first page of a segment (src/include/access/xlog_internal.h; the same since 9.3). */
const PAGE_HEADER_BYTES = 24n;
const SEGMENT_HEADER_BYTES = 40n;

export interface WalSizes {
  readonly segmentBytes: number;
  readonly blockBytes: number;
}

export const DEFAULT_WAL_SIZES: WalSizes = { segmentBytes: 16 * 1024 * 1024, blockBytes: 8192 };

/** The end of a record that starts at `start`: pages in between have headers, and the end is aligned to 8 bytes. */
export function recordEnd(start: Lsn, lengthBytes: number, sizes: WalSizes): Lsn {
  const block = BigInt(sizes.blockBytes);
  let position = start;
  let left = BigInt(lengthBytes);
  for (;;) {
    const room = block - (position % block);
    if (left <= room) return align(position + left);
    left -= room;
    position += room;
    position += headerAt(position, sizes);
  }
}

/** Where the next record begins when the last one ended at `end`: behind the header of the page that begins there, if one does. */
export function withPageHeader(end: Lsn, sizes: WalSizes): Lsn {
  return end % BigInt(sizes.blockBytes) === 0n ? end + headerAt(end, sizes) : end;
}

/** A switch record fills its segment. */
export function segmentEnd(lsn: Lsn, sizes: WalSizes): Lsn {
  const segment = BigInt(sizes.segmentBytes);
  return ((lsn + segment - 1n) / segment) * segment;
}

/**
 * The end of the last record, from the insert position. On an idle server whose last record ended with its page,
 * `pg_current_wal_insert_lsn()` is past the next page's header, and no standby ever confirms that: it would be waited for in vain.
 */
export function withoutPageHeader(insert: Lsn, sizes: WalSizes): Lsn {
  const page = insert - (insert % BigInt(sizes.blockBytes));
  return insert - page === headerAt(page, sizes) ? page : insert;
}

function headerAt(page: Lsn, sizes: WalSizes): bigint {
  return page % BigInt(sizes.segmentBytes) === 0n ? SEGMENT_HEADER_BYTES : PAGE_HEADER_BYTES;
}

function align(lsn: Lsn): Lsn {
  return (lsn + 7n) & ~7n;
}
