import type { LeaderRecord, SyncSetting } from '#domain/leader-record.ts';
import { formatLsn } from '#domain/lsn.ts';
import type { Incarnation } from '#domain/member.ts';
import { comparePositions } from '#domain/position.ts';
import type { Follower, ServerView } from '#domain/server.ts';
import { bridge, covers, implies, mixture, sameSetting } from './quorum.ts';
import { swapRecord } from './record.ts';
import type { Leader } from './state.ts';
import type { Turn } from './turn.ts';

type PrimaryView = Extract<ServerView, { state: 'primary' }>;

/** A standby that has not answered its walsender for so long does not keep up. */
const SILENT_MS = 5000;

export interface Target {
  readonly setting: SyncSetting;
  /** k = 0 is only a record ("nobody but me"); PostgreSQL keeps waiting. */
  readonly wait: boolean;
  readonly degraded: boolean;
}

/** Who should be in S, and how many of them confirm: those that stream and keep up. */
export function targetOf(turn: Turn, leader: Leader, record: LeaderRecord, view: PrimaryView): Target {
  const { state, now } = turn;
  const { durability, synchronousCount, timings } = state.config;
  if (durability === 'async') return { setting: { sync: [], k: 0 }, wait: false, degraded: false };
  const healthy = view.followers
    .filter((follower) => keepsUp(turn, leader, view, follower))
    .map((follower) => follower.incarnation);
  const lingering = record.sync.filter(
    (name) =>
      !healthy.includes(name) &&
      !isGone(turn, leader, name) &&
      now - (leader.unhealthySince[name] ?? now) < timings.suspectAfterMs,
  );
  const able = [...healthy, ...lingering].sort();
  if (healthy.length >= synchronousCount) return { setting: { sync: able, k: synchronousCount }, wait: false, degraded: false };
  if (durability === 'required') return requiredAndShort(turn, leader, record, able, synchronousCount);
  if (able.length > 0)
    return { setting: { sync: able, k: Math.min(synchronousCount, able.length) }, wait: false, degraded: false };
  const patient = leader.shortSince !== null && now - leader.shortSince < timings.degradeAfterMs;
  const kept = record.sync.filter((name) => !isGone(turn, leader, name));
  if (record.k > 0 && patient && kept.length > 0)
    return { setting: { sync: kept, k: Math.min(record.k, kept.length) }, wait: false, degraded: false };
  return { setting: { sync: [], k: 0 }, wait: false, degraded: true };
}

/** Too few are left: commits wait for those that were recorded. Only who asked to be forgotten leaves. */
function requiredAndShort(turn: Turn, leader: Leader, record: LeaderRecord, able: readonly Incarnation[], count: number): Target {
  const kept = record.sync.filter((name) => !isGone(turn, leader, name));
  const sync = record.k === 0 ? able : [...new Set([...kept, ...able])].sort();
  const k = Math.min(Math.max(record.k, Math.min(count, sync.length)), sync.length);
  return { setting: { sync: k === 0 ? [] : sync, k }, wait: k < count, degraded: false };
}

/** It asked to be forgotten, its member left for good, or lives on under another incarnation: it will never confirm anything again. */
function isGone(turn: Turn, leader: Leader, incarnation: Incarnation): boolean {
  const { state } = turn;
  if (leader.forgotten.includes(incarnation)) return true;
  const owner = incarnation.slice(0, incarnation.lastIndexOf('_'));
  if (owner === state.self.name || state.left.includes(owner)) return true;
  const present = state.peers[owner]?.incarnation || state.members[owner]?.incarnation;
  return present !== undefined && present !== incarnation;
}

function keepsUp(turn: Turn, leader: Leader, view: PrimaryView, follower: Follower): boolean {
  const { state } = turn;
  if (!follower.streaming || isGone(turn, leader, follower.incarnation) || follower.silentMs > SILENT_MS) return false;
  const member = Object.values(state.members).find((record) => record.incarnation === follower.incarnation);
  if (member === undefined || member.tags.nosync) return false;
  const inSet = state.record?.value?.sync.includes(follower.incarnation) ?? false;
  const limit = BigInt(state.config.maximumLagBytes) * (inSet ? 2n : 1n);
  return view.position.lsn - follower.flushed <= limit;
}

/** Remembers since when members of S and S as a whole have been unwell. */
export function watchHealth(turn: Turn, leader: Leader, record: LeaderRecord, view: PrimaryView): void {
  const unhealthySince: Record<Incarnation, number> = {};
  let healthy = 0;
  for (const name of record.sync) {
    const follower = view.followers.find((one) => one.incarnation === name);
    if (follower !== undefined && keepsUp(turn, leader, view, follower)) healthy++;
    else unhealthySince[name] = leader.unhealthySince[name] ?? turn.now;
  }
  const short = healthy < Math.max(1, record.k);
  turn.setLeader({ unhealthySince, shortSince: short ? (leader.shortSince ?? turn.now) : null });
}

/**
 * H4: one step from what is recorded and running towards `target`: ① record what covers both and everything between, ② have PostgreSQL
 * run the target, ③ wait until the target has confirmed, ④ record it. Stateless but for when the running setting was seen in force
 * and the position to confirm, so the target may change at any moment. Returns whether something is still to do.
 */
export function moveSync(turn: Turn, leader: Leader, record: LeaderRecord, target: Target, view: PrimaryView): boolean {
  const { state } = turn;
  if (state.swap !== null) return true;
  const recorded: SyncSetting = { sync: record.sync, k: record.k };
  const next = target.setting;
  if (leader.running === null) return runSetting(turn, leader, recorded, recorded, target.wait);
  if (sameSetting(recorded, next)) return runSetting(turn, leader, recorded, next, target.wait);
  const first = bridge(recorded, next);
  if (turn.applies('bridge') && !sameSetting(recorded, first) && implies(recorded, first)) {
    return writeSetting(turn, leader, record, { ...target, setting: first, degraded: target.degraded && first.k === 0 }, view);
  }
  if (runSetting(turn, leader, recorded, next, target.wait)) return true;
  if (!implies(recorded, next) && turn.applies('confirmedBeforeRecord') && !confirmed(turn, leader, next, view)) return true;
  return writeSetting(turn, leader, record, target, view);
}

function writeSetting(turn: Turn, leader: Leader, record: LeaderRecord, target: Target, view: PrimaryView): boolean {
  const running = leader.running;
  const { setting } = target;
  if (running === null || !(running.wait || covers(setting, running.setting) || !turn.applies('bridge'))) return true;
  turn.say('H4', `records ANY ${setting.k} (${setting.sync.join(', ')})`);
  swapRecord(turn, withSetting(turn, record, target, view), true);
  return true;
}

/**
 * Makes PostgreSQL run `setting`, or with `wait` acknowledge nothing. Returns whether it still has to. From an unknown setting the
 * adapter goes through one that acknowledges nothing.
 */
export function runSetting(turn: Turn, leader: Leader, recorded: SyncSetting, setting: SyncSetting, wait: boolean): boolean {
  const wanted = wait ? { sync: [], k: 0 } : setting;
  const { running } = leader;
  if (running !== null && sameSetting(running.setting, wanted) && running.wait === wait) return false;
  if (turn.state.job !== null) return true;
  const meanwhile = running === null || running.wait ? wanted : mixture(running.setting, wanted);
  const covered = wait || covers(recorded, meanwhile) || !turn.applies('bridge');
  if (!covered) return true;
  turn.setLeader({ running: null, confirm: null });
  turn.run({ kind: 'setSync', setting: wanted, wait });
  return true;
}

/** H4 ③: k′ of S′ have confirmed a position read after the setting came into force, over connections that are open now. */
function confirmed(turn: Turn, leader: Leader, next: SyncSetting, view: PrimaryView): boolean {
  if (leader.running === null || turn.state.serverAt < leader.running.inForceAt) return false;
  const at = leader.confirm ?? view.position;
  if (leader.confirm === null) turn.setLeader({ confirm: at });
  return confirmations(view, next, at) >= next.k;
}

/** How many of S stream from this server and have flushed `at`. */
export function confirmations(view: PrimaryView, setting: SyncSetting, at: { timeline: number; lsn: bigint }): number {
  return view.followers.filter(
    (follower) =>
      setting.sync.includes(follower.incarnation) &&
      follower.streaming &&
      comparePositions({ timeline: view.position.timeline, lsn: follower.flushed }, at) >= 0,
  ).length;
}

function withSetting(turn: Turn, record: LeaderRecord, target: Target, view: PrimaryView): LeaderRecord {
  const { degradedSince: _, ...rest } = record;
  const next = { ...rest, ...target.setting, eligible: eligibleFor(turn, target, view) };
  if (!target.degraded) return next;
  return { ...next, degradedSince: record.degradedSince ?? { lsn: formatLsn(view.position.lsn), at: turn.state.wall } };
}

/** Who may lead next: nobody else while this leader is recorded as the only one that has everything. */
export function eligibleFor(turn: Turn, target: Target, view: PrimaryView): readonly string[] {
  const { state } = turn;
  if (target.setting.k === 0 && state.config.durability !== 'async') return [state.self.name];
  const able = Object.values(state.members).filter((member) => !member.tags.nofailover);
  const names =
    state.config.durability === 'async'
      ? able.filter((member) => view.followers.some((follower) => follower.incarnation === member.incarnation))
      : able;
  const known = state.config.durability === 'async' ? [] : (state.record?.value?.eligible ?? []);
  const barred = Object.values(state.members)
    .filter((member) => member.tags.nofailover)
    .map((member) => member.name);
  return [...new Set([...names.map((member) => member.name), ...known, state.self.name])]
    .filter((name) => !barred.includes(name) && !state.left.includes(name))
    .sort();
}
