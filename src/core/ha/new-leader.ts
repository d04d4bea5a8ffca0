import type { Leader } from './state.ts';
import type { Turn } from './turn.ts';

/** A leader at the beginning of its time: nothing is known of its server yet. */
export function newLeader(epoch: number, phase: Leader['phase'], now: number): Leader {
  return {
    kind: 'leader',
    epoch,
    phase,
    phaseAt: now,
    gateAt: null,
    running: null,
    confirm: null,
    checkpointed: false,
    forgotten: [],
    forgetRequests: [],
    unhealthySince: {},
    shortSince: null,
    slots: null,
    heartbeatAt: -Infinity,
    announced: false,
    renewedAt: -Infinity,
    fenced: false,
    cutFailed: false,
    failedStarts: 0,
    restartAt: -Infinity,
    restarting: null,
    handover: null,
    stuckSince: null,
    cleaned: false,
    reclaiming: null,
  };
}

/** Takes the role. A checkpoint of an earlier leadership says nothing about this one's timeline (H9). */
export function beLeader(turn: Turn, leader: Leader): void {
  turn.state.role = leader;
  turn.state.checkpointing = null;
  turn.state.checkpointResult = null;
  turn.state.following = null;
  turn.state.forgetting = null;
}
