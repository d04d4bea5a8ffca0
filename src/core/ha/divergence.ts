import type { Lineage, Position } from '#domain/position.ts';

export interface Log {
  readonly position: Position;
  readonly lineage: Lineage;
}

/** How a member's log relates to the leader's: it can simply follow, has to give up what it has beyond `at`, or has nothing in common. */
export type Relation =
  | { readonly kind: 'follows' }
  | { readonly kind: 'diverged'; readonly at: Position }
  | { readonly kind: 'unrelated' };

/**
 * Whole histories are compared, never numbers alone: two promotions to one number look alike to PostgreSQL, which then waits in
 * silence for WAL that never comes.
 */
export function relate(local: Log, leader: Log): Relation {
  const path = [...leader.lineage, { timeline: leader.position.timeline, end: null }];
  const mine = [...local.lineage, { timeline: local.position.timeline, end: local.position.lsn }];
  for (let i = 0; i < mine.length; i++) {
    const own = mine[i];
    const other = path[i];
    if (own === undefined || other === undefined || own.timeline !== other.timeline) return forkAfter(path, i);
    const last = i === mine.length - 1;
    if (last) {
      if (other.end === null || own.end <= other.end) return { kind: 'follows' };
      return { kind: 'diverged', at: { timeline: own.timeline, lsn: other.end } };
    }
    if (other.end === null || own.end < other.end) return { kind: 'diverged', at: { timeline: own.timeline, lsn: own.end } };
    if (own.end > other.end) return { kind: 'diverged', at: { timeline: own.timeline, lsn: other.end } };
  }
  return { kind: 'unrelated' };
}

function forkAfter(path: readonly { timeline: number; end: bigint | null }[], i: number): Relation {
  const common = path[i - 1];
  if (common === undefined || common.end === null) return { kind: 'unrelated' };
  return { kind: 'diverged', at: { timeline: common.timeline, lsn: common.end } };
}
