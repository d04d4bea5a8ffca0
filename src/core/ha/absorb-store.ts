import type { LeaderRecord } from '#domain/leader-record.ts';
import type { HaEvent } from './events.ts';
import { beLeader, newLeader } from './new-leader.ts';
import { reclaimed } from './reclaim.ts';
import { readRecord, swapRecord } from './record.ts';
import type { PendingSwap } from './state.ts';
import type { Turn } from './turn.ts';

type RecordEvent = Extract<HaEvent, { kind: 'record' }>;
type SwappedEvent = Extract<HaEvent, { kind: 'swapped' }>;

/** The record as read or watched. An older version than the known one is a late answer and says nothing. */
export function absorbRecord(turn: Turn, event: RecordEvent): void {
  const { state } = turn;
  if (event.askedAt !== undefined) state.reading = null;
  learn(turn, event.record, event.version, event.askedAt ?? -Infinity);
  const swap = state.swap;
  if (swap?.unknownAt == null || event.askedAt === undefined || event.askedAt < swap.unknownAt) return;
  settle(turn, swap);
}

function learn(turn: Turn, record: LeaderRecord | null, version: number, seenFreshAt: number): void {
  const { state } = turn;
  const known = state.record;
  if (known !== null && version < known.version) return;
  // Its own write, seen before its answer: it proves as much as the answer would.
  const own = state.swap !== null && record?.member === state.self.name && record.epoch === state.swap.record.epoch;
  const freshAt = Math.max(seenFreshAt, own && state.swap !== null ? state.swap.sentAt : -Infinity);
  if (known !== null && version === known.version) {
    state.record = { ...known, freshAt: Math.max(known.freshAt, freshAt) };
    return;
  }
  state.record = { value: record, version, freshAt, seenAt: turn.now };
  if (record?.member !== state.self.name) return;
  tookLead(turn, record, freshAt);
  reclaimed(turn, record);
}

/** The record names this member for the epoch that it stood for. */
function tookLead(turn: Turn, record: LeaderRecord, at: number): void {
  const { state } = turn;
  if (state.role.kind !== 'candidate' || state.role.epoch !== record.epoch || state.promise !== record.epoch) return;
  if (state.role.commandId !== null) turn.answer(state.role.commandId, true, `${state.self.name} leads epoch ${record.epoch}`);
  beLeader(turn, { ...newLeader(record.epoch, 'preparing', turn.now), renewedAt: at });
  state.peers = Object.fromEntries(
    Object.entries(state.peers).map(([name, peer]) => [name, { ...peer, confirmedAt: -Infinity }]),
  );
  turn.say('step 5', `leads epoch ${record.epoch}`);
}

/**
 * A compare-and-set without an answer may still be on its way: reading the old version back proves nothing. Writing the same record
 * once more over that version does: whichever of the two lands first makes the other one fail.
 */
function settle(turn: Turn, swap: PendingSwap): void {
  const { state } = turn;
  const record = state.record;
  if (record === null || (record.value === null ? null : record.version) !== swap.over) {
    state.swap = null;
    return;
  }
  if (record.value === null) return swapRecord(turn, swap.record, true);
  swapRecord(turn, { ...record.value, renewal: record.value.renewal + 1 }, true);
}

export function absorbSwapped(turn: Turn, event: SwappedEvent): void {
  const { state } = turn;
  const swap = state.swap;
  if (swap === null || swap.id !== event.id) return;
  if (event.outcome === 'unknown') {
    if (!turn.applies('readBack')) {
      state.swap = null;
      return;
    }
    state.swap = { ...swap, unknownAt: turn.now };
    state.reading = null;
    return readRecord(turn);
  }
  state.swap = null;
  if (event.outcome === 'conflict') return conflicted(turn, swap, event.record, event.version);
  state.wroteVersion = event.version;
  learn(turn, swap.record, event.version, swap.sentAt);
  if (swap.record.cause === 'bootstrap' && swap.over === null) {
    const { epoch, member, timeline, cause, since: at, evidence } = swap.record;
    turn.do({ kind: 'appendHistory', entry: { epoch, member, timeline, lineage: [], cause, at, evidence } });
  }
  if (turn.leader !== null && swap.record.member === state.self.name)
    turn.setLeader({ renewedAt: Math.max(turn.leader.renewedAt, swap.sentAt) });
}

/** Somebody wrote first: everything is decided anew on what stands there now. */
function conflicted(turn: Turn, swap: PendingSwap, record: LeaderRecord | null, version: number): void {
  const { state } = turn;
  learn(turn, record, version, swap.sentAt);
  if (state.role.kind !== 'candidate' || state.role.phase !== 'claiming') return;
  turn.setCandidate({ phase: 'promising' });
  if (!turn.applies('judgedVersion') && state.record?.version === version) swapRecord(turn, swap.record, true);
}
