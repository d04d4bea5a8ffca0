import type { LeaderRecord } from '#domain/leader-record.ts';
import type { Turn } from './turn.ts';

/** Asks the store for the record; one question at a time. */
export function readRecord(turn: Turn): void {
  if (turn.state.reading !== null) return;
  turn.state.reading = turn.now;
  turn.do({ kind: 'read' });
}

/** 1 + this is the epoch to ask for: an election that was abandoned must not block the next one (H7). */
export function highestSeen(turn: Turn): number {
  const { state } = turn;
  const record = state.record?.value?.epoch ?? 0;
  if (!turn.applies('beyondAllSeen')) return record;
  return Math.max(record, state.promise, ...Object.values(state.peers).map((peer) => peer.promised));
}

export function nextEpoch(turn: Turn): number {
  return highestSeen(turn) + 1;
}

/** The only writer of the record. Until the answer is known nothing else is decided on it. */
export function swapRecord(turn: Turn, record: LeaderRecord, durable: boolean): void {
  const { state } = turn;
  const id = state.nextId++;
  const expected = state.record === null || state.record.value === null ? null : state.record.version;
  state.swap = { id, record, over: expected, sentAt: turn.now, unknownAt: null };
  turn.do({ kind: 'swap', id, expected, record, durable });
}
