import type { Lineage, Position, Timeline } from '#domain/position.ts';

/** One row that a client tried to write. `id` is its number; what the world and the client came to know of it is noted here. */
export interface Row {
  readonly id: number;
  /** CommandComplete reached the client without a warning. */
  acknowledged: boolean;
  /** A client read it from a leader. */
  seen: boolean;
  /** Outside of H2 and H12: its wait was cancelled, or a person or asynchronous mode gave it up. */
  excused: boolean;
  /** The place of its commit in the log of whoever wrote it. */
  record: WalRecord | null;
}

/**
 * A record of the write-ahead log. Records are shared between the logs that hold them: two logs agree up to an index exactly when
 * they hold the same record there.
 */
export interface WalRecord {
  readonly index: number;
  readonly kind: 'row' | 'promotion' | 'checkpoint' | 'shutdown' | 'noise';
  /** Its end: what `pg_current_wal_insert_lsn()` says after it. */
  readonly position: Position;
  /** As `position.lsn`, for arithmetic. */
  readonly end: number;
  readonly lineage: Lineage;
  readonly row: Row | null;
}

export type Log = WalRecord[];

const FIRST_END = 0x300_0000;
const NO_ANCESTORS: Lineage = [];

export function firstRecord(): WalRecord {
  return {
    index: 0,
    kind: 'checkpoint',
    position: { timeline: 1, lsn: BigInt(FIRST_END) },
    end: FIRST_END,
    lineage: NO_ANCESTORS,
    row: null,
  };
}

export function tip(log: Log): WalRecord {
  const record = log[log.length - 1];
  if (record === undefined) throw new Error('a log is never empty');
  return record;
}

/** Appends on the timeline that the log is on. */
export function append(log: Log, kind: WalRecord['kind'], bytes: number, row: Row | null): WalRecord {
  const before = tip(log);
  const end = before.end + bytes;
  const position = { timeline: before.position.timeline, lsn: BigInt(end) };
  const record: WalRecord = { index: log.length, kind, position, end, lineage: before.lineage, row };
  if (row !== null) row.record = record;
  log.push(record);
  return record;
}

/** The first record of a new timeline, which begins where the log ends. */
export function appendPromotion(log: Log, timeline: Timeline): WalRecord {
  const before = tip(log);
  const end = before.end + 120;
  const record: WalRecord = {
    index: log.length,
    kind: 'promotion',
    position: { timeline, lsn: BigInt(end) },
    end,
    lineage: [...before.lineage, { timeline: before.position.timeline, end: before.position.lsn }],
    row: null,
  };
  log.push(record);
  return record;
}

/** How many records from the beginning two logs have in common. */
export function commonLength(a: Log, b: Log): number {
  let low = 0;
  let high = Math.min(a.length, b.length);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (a[middle - 1] === b[middle - 1]) low = middle;
    else high = middle - 1;
  }
  return low;
}
