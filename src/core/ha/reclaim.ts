import type { LeaderRecord } from '#domain/leader-record.ts';
import { hasLeft } from './end-server.ts';
import { nextEpoch, swapRecord } from './record.ts';
import type { Leader } from './state.ts';
import type { Turn } from './turn.ts';

/** H10: a promise is never withdrawn. First the own promise of a higher epoch, then the compare-and-set to it. */
export function startReclaim(turn: Turn, why: string): void {
  const epoch = nextEpoch(turn);
  turn.say('reclaimOnHigher', `re-claims with epoch ${epoch}: ${why}`);
  turn.setLeader({ reclaiming: epoch });
  turn.persist(epoch);
}

/** Writes the re-claim once the promise is on disk. */
export function reclaim(turn: Turn, leader: Leader, record: LeaderRecord): void {
  const { state } = turn;
  if (leader.reclaiming === null) return;
  if (state.promise > leader.reclaiming) return turn.setLeader({ reclaiming: null });
  if (state.swap === null && state.promise === leader.reclaiming) {
    swapRecord(turn, { ...record, epoch: leader.reclaiming, cause: 'reclaim', since: state.wall, evidence: {} }, true);
  }
}

/** The record carries a later epoch of this leader: its re-claim has been written, whether or not the answer arrived. */
export function reclaimed(turn: Turn, record: LeaderRecord): void {
  const leader = turn.leader;
  if (leader === null || record.epoch <= leader.epoch) return;
  turn.setLeader({ epoch: record.epoch, reclaiming: null });
  const back = leader.phase === 'gaveUp' || (leader.phase === 'handover' && hasLeft(leader));
  if (!back || turn.state.promise > record.epoch) return;
  if (leader.handover !== null)
    turn.answer(leader.handover.command.id, false, `${leader.handover.target} did not take over; this member leads again`);
  turn.setLeader({ handover: null, phase: 'preparing', phaseAt: turn.now, running: null, slots: null, gateAt: null });
}
