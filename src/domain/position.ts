import type { Lsn } from './lsn.ts';

/** A PostgreSQL timeline number, 1 to 2^32 - 1. Matriarch's claims number them; none is used twice. */
export type Timeline = number;

/** How far a server's write-ahead log reaches: the timeline it is on and the end of the valid WAL on disk. */
export interface Position {
  readonly timeline: Timeline;
  readonly lsn: Lsn;
}

export const NOWHERE: Position = { timeline: 0, lsn: 0n };

/** Timeline first, then LSN: negative when `a` is behind `b`. By LSN alone an old leader with unacknowledged WAL would win. */
export function comparePositions(a: Position, b: Position): number {
  if (a.timeline !== b.timeline) return a.timeline < b.timeline ? -1 : 1;
  return a.lsn === b.lsn ? 0 : a.lsn < b.lsn ? -1 : 1;
}

/** A timeline that ended, and where: the content of a timeline history file, one line an ancestor. */
export interface Ancestor {
  readonly timeline: Timeline;
  /** The first byte that belongs to the next timeline. */
  readonly end: Lsn;
}

/** The ancestors of a timeline, oldest first, without the timeline itself. */
export type Lineage = readonly Ancestor[];
