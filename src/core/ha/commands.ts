import { stand, whyNotStand } from './candidacy.ts';
import { endServer } from './end-server.ts';
import type { Command } from './events.ts';
import { beginHandover } from './handover.ts';
import { readRecord } from './record.ts';
import type { Turn } from './turn.ts';

/** What a person asks for. Each command ends in one answer. */
export function absorbCommand(turn: Turn, command: Command): void {
  switch (command.kind) {
    case 'switchover':
      beginHandover(turn, command);
      return;
    case 'failover':
      return failover(turn, command);
    case 'restart':
      return restart(turn, command.id);
    case 'reinit':
      return reinit(turn, command.id);
    case 'shutdown':
      turn.state.shutdown = { id: command.id, handOver: command.handOver };
      if (command.handOver) beginHandover(turn, command);
      return;
  }
}

function failover(turn: Turn, command: Extract<Command, { kind: 'failover' }>): void {
  const { state } = turn;
  const record = state.record?.value;
  if (turn.leader !== null) return turn.answer(command.id, false, 'this member leads already');
  if (record == null) return turn.answer(command.id, false, 'no leader was ever recorded');
  if (record.member === state.self.name)
    return turn.answer(command.id, false, 'the record names this member: it re-claims by itself');
  if (state.server?.state !== 'standby') return turn.answer(command.id, false, 'its server is not a running standby');
  const barrier = command.allowDataLoss || state.config.paused ? null : whyNotStand(turn);
  if (barrier !== null) return turn.answer(command.id, false, `it may not lead: ${barrier}`);
  if (state.role.kind === 'candidate') return turn.answer(command.id, false, 'an election is under way');
  if (state.grant !== null || state.job !== null || state.persisting !== null)
    return turn.answer(command.id, false, 'busy; try again');
  readRecord(turn);
  stand(turn, command.allowDataLoss ? 'forced' : 'failover', command.id);
}

function restart(turn: Turn, id: string): void {
  const { state } = turn;
  const leader = turn.leader;
  if (leader === null) {
    if (state.restarting !== null || state.server?.state !== 'standby')
      return turn.answer(id, false, 'its server is not a running standby');
    state.restarting = id;
    return;
  }
  if (leader.phase !== 'serving' || state.job !== null) return turn.answer(id, false, `the leader is ${leader.phase}; try again`);
  turn.say('restart', 'restarts in place, as asked');
  endServer(turn, 'fast');
  turn.setLeader({ restarting: id });
}

function reinit(turn: Turn, id: string): void {
  const { state } = turn;
  if (turn.leader !== null) return turn.answer(id, false, 'this member leads: switch over first');
  if (state.reinit !== null) return turn.answer(id, false, 'it is being cloned already');
  turn.say('reinit', 'gives up its data and clones anew, as asked');
  state.reinit = { commandId: id };
}

/** Stops for good: a leader hands over first when it was asked to and can. Returns whether nothing else may be decided. */
export function continueShutdown(turn: Turn): boolean {
  const { state } = turn;
  if (state.shutdown === null) return false;
  if (turn.leader?.handover != null) return false;
  if (state.persisting !== null || state.job?.job.kind === 'stop') return true;
  if (state.server === null && state.job === null) return true;
  const gone = state.server?.state === 'stopped' || state.server?.state === 'absent';
  if (!gone) {
    turn.run({ kind: 'stop', mode: 'fast' });
    return true;
  }
  if (state.guardDeadline !== null) {
    state.guardDeadline = null;
    turn.do({ kind: 'guard', deadline: null });
  }
  turn.answer(state.shutdown.id, true, 'stopped');
  turn.do({ kind: 'exit' });
  return true;
}
