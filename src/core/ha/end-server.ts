import type { Leader } from './state.ts';
import type { Turn } from './turn.ts';

/** A switchover in which the server has stopped for its successor. */
export function hasLeft(leader: Leader): boolean {
  return leader.handover?.stage === 'promising' || leader.handover?.stage === 'waiting';
}

/** Ends the server of a leader with all its backends; then it is decided who goes on. */
export function endServer(turn: Turn, mode: 'fast' | 'kill' = 'kill'): void {
  turn.setPhase('ended');
  turn.setLeader({ cleaned: false, running: null, slots: null, gateAt: null, confirm: null, fenced: false, cutFailed: false });
  turn.run({ kind: 'stop', mode });
}
