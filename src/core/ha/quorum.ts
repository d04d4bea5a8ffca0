import type { SyncSetting } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';

/** |a ∖ b| */
function countMissing(a: readonly Incarnation[], b: readonly Incarnation[]): number {
  return a.filter((name) => !b.includes(name)).length;
}

/** |a ∩ b| */
export function countShared(a: readonly Incarnation[], b: readonly Incarnation[]): number {
  return a.filter((name) => b.includes(name)).length;
}

export function sameSetting(a: SyncSetting, b: SyncSetting): boolean {
  return a.k === b.k && a.sync.length === b.sync.length && countMissing(a.sync, b.sync) === 0;
}

/**
 * Does the record (S, k) cover a PostgreSQL that runs (R, r)? Every commit that (R, r) acknowledges is on at least r − |R∖S| members
 * of S, so what the record says of it is true (H4).
 */
export function covers(record: SyncSetting, running: SyncSetting): boolean {
  return record.k === 0 || record.k <= running.k - countMissing(running.sync, record.sync);
}

/** Does "on k members of S" already mean "on k′ members of S′"? Then the change needs no waiting (H4 ③). */
export function implies(before: SyncSetting, after: SyncSetting): boolean {
  return after.k === 0 || before.k - countMissing(before.sync, after.sync) >= after.k;
}

/**
 * Step 4's inequality: any k members of S meet V. Then every acknowledged commit is on a member of V, and the old leader can never
 * again gather k confirmations.
 */
export function quorumMeets(promised: readonly Incarnation[], record: SyncSetting): boolean {
  return record.k >= 1 && countShared(record.sync, promised) + record.k > record.sync.length;
}

/**
 * What PostgreSQL may be running while it changes from one setting to the other: every walsender reloads on its own, and one that has
 * not yet counts by its old number whoever shows up as synchronous by now. Measured: `ANY 1 (b)` to `ANY 2 (b, c)` let a commit go
 * that c alone had.
 */
export function mixture(from: SyncSetting, to: SyncSetting): SyncSetting {
  if (from.k === 0 || to.k === 0) return { sync: [], k: 0 };
  return { sync: union(from.sync, to.sync), k: Math.min(from.k, to.k) };
}

/**
 * What the record says while PostgreSQL changes from (S, k) to (S′, k′): covers both and everything in between, is implied by (S, k),
 * and so can be written without waiting (H4 ①). k = 0 covers whatever runs.
 */
export function bridge(before: SyncSetting, after: SyncSetting): SyncSetting {
  if (before.k === 0) return before;
  if (after.k === 0) return after;
  return mixture(before, after);
}

function union(a: readonly Incarnation[], b: readonly Incarnation[]): readonly Incarnation[] {
  return [...a, ...b.filter((name) => !a.includes(name))].sort();
}
