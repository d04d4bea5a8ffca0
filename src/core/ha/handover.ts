import type { LeaderRecord } from '#domain/leader-record.ts';
import type { MemberName } from '#domain/member.ts';
import { startCheckpoint } from './checkpoint.ts';
import { endServer } from './end-server.ts';
import type { Command } from './events.ts';
import { startReclaim } from './reclaim.ts';
import { nextEpoch, readRecord } from './record.ts';
import type { Handover, HaState } from './state.ts';
import { bestSuccessor } from './successor.ts';
import { Turn } from './turn.ts';

/** A checkpoint that lasted longer left much dirty again: a second one makes the shutdown's short. */
const LONG_CHECKPOINT_MS = 1000;
const REPEAT_MS = 100;
const PROMISE_AGAIN_MS = 1000;

/** Begins a switchover, or says why not. */
export function beginHandover(turn: Turn, command: Extract<Command, { kind: 'switchover' | 'shutdown' }>): boolean {
  const { state } = turn;
  const leader = turn.leader;
  const to = command.kind === 'switchover' ? command.to : undefined;
  const why = whyNot(turn, to);
  const target = why === null ? bestSuccessor(turn, to) : null;
  if (leader === null || target === null) {
    if (command.kind === 'switchover') turn.answer(command.id, false, why ?? noTarget(turn, to));
    return false;
  }
  const handover: Handover = {
    command,
    target: target.name,
    stage: 'checkpoint',
    startedAt: turn.now,
    stageAt: turn.now,
    epoch: 0,
    log: null,
  };
  turn.say('switchover', `hands over to ${target.name}`);
  turn.setLeader({ phase: 'handover', phaseAt: turn.now, handover });
  state.checkpointResult = null;
  return true;
}

/** Why a switchover that is asked for now would not begin; null when it would. */
export function switchoverBarrier(state: HaState, now: number, to: MemberName | undefined): string | null {
  const turn = new Turn(state, now, new Set());
  return whyNot(turn, to) ?? (bestSuccessor(turn, to) === null ? noTarget(turn, to) : null);
}

function whyNot(turn: Turn, to: MemberName | undefined): string | null {
  const leader = turn.leader;
  if (leader === null) return 'this member does not lead';
  if (to === turn.state.self.name) return `${to} leads already`;
  if (leader.phase !== 'serving' || leader.fenced) return `the leader is ${leader.phase}`;
  return null;
}

function noTarget(turn: Turn, to: MemberName | undefined): string {
  const record = turn.state.record?.value;
  const set = record?.sync.join(', ') ?? '';
  return to === undefined
    ? `no standby can take over: needs one that answers, may lead, and is in the sync set {${set}}`
    : `${to} cannot take over: it must answer, may lead, and be in the sync set {${set}}`;
}

/** Moves a switchover on by one stage as soon as the one before has ended. */
export function continueHandover(turn: Turn, record: LeaderRecord): void {
  const { state } = turn;
  const handover = turn.leader?.handover;
  if (handover == null || state.job !== null) return;
  switch (handover.stage) {
    case 'checkpoint':
      return checkpointing(turn, handover);
    case 'closing':
      stage(turn, 'draining');
      return turn.run({ kind: 'drain', timeoutMs: state.config.timings.drainTimeoutMs });
    case 'draining':
      stage(turn, 'stopping');
      return turn.run({ kind: 'stop', mode: 'fast' });
    case 'stopping':
      return;
    case 'promising':
      return promising(turn, handover);
    case 'waiting':
      return waiting(turn, handover, record);
  }
}

function stage(turn: Turn, next: Handover['stage']): void {
  const handover = turn.leader?.handover;
  if (handover == null) return;
  turn.setLeader({ handover: { ...handover, stage: next, stageAt: turn.now } });
}

function checkpointing(turn: Turn, handover: Handover): void {
  const { state } = turn;
  if (state.server !== null && state.server.state !== 'primary') return cancelHandover(turn, 'the server ended meanwhile', true);
  if (state.checkpointing !== null) return;
  const tookMs = turn.now - handover.stageAt;
  if (state.checkpointResult === null) return startCheckpoint(turn);
  if (state.checkpointResult === 'failed') return cancelHandover(turn, 'the checkpoint before the switchover failed', false);
  if (tookMs > LONG_CHECKPOINT_MS && handover.stageAt === handover.startedAt) {
    turn.setLeader({ handover: { ...handover, stageAt: turn.now } });
    return startCheckpoint(turn);
  }
  if (bestSuccessor(turn, handover.target) === null) return cancelHandover(turn, `${handover.target} no longer keeps up`, false);
  stage(turn, 'closing');
  turn.run({ kind: 'gate', open: false, cut: false });
}

/** Nothing has been given up yet: go on as before. */
export function cancelHandover(turn: Turn, why: string, ended: boolean): void {
  const handover = turn.leader?.handover;
  if (handover == null) return;
  turn.say('switchover', `called off: ${why}`);
  turn.answer(handover.command.id, false, why);
  turn.setLeader({ handover: null });
  if (ended) endServer(turn);
  else turn.setLeader({ phase: 'gating', phaseAt: turn.now });
}

/** The server has stopped; its log ends here. Promise the epoch that the target is to claim. */
export function stoppedForHandover(turn: Turn, log: NonNullable<Handover['log']>): void {
  const handover = turn.leader?.handover;
  if (handover == null) return;
  const epoch = nextEpoch(turn);
  turn.setLeader({
    handover: { ...handover, stage: 'promising', stageAt: turn.now, epoch, log },
    running: null,
    slots: null,
    gateAt: null,
  });
  turn.persist(epoch);
}

function promising(turn: Turn, handover: Handover): void {
  const { state, now } = turn;
  if (state.promise < handover.epoch) {
    // The disk refused it, full for a moment, say: without the promise nobody takes over, and the lead cannot be taken back either.
    if (state.persisting === null && now - state.persistFailedAt > PROMISE_AGAIN_MS) turn.persist(handover.epoch);
    return;
  }
  stage(turn, 'waiting');
  tell(turn, handover);
}

function tell(turn: Turn, handover: Handover): void {
  const { state } = turn;
  if (handover.log === null) return;
  turn.send(handover.target, {
    kind: 'handover',
    epoch: handover.epoch,
    log: { incarnation: state.incarnation, ...handover.log },
  });
}

function waiting(turn: Turn, handover: Handover, record: LeaderRecord): void {
  const { state, now } = turn;
  const leader = turn.leader;
  if (leader === null || leader.reclaiming !== null || state.persisting !== null) return;
  const waitedMs = now - handover.stageAt;
  if (waitedMs < state.config.timings.handoverTimeoutMs) {
    const due = Math.floor(waitedMs / REPEAT_MS) > Math.floor((waitedMs - state.config.timings.heartbeatMs / 2) / REPEAT_MS);
    if (due) tell(turn, handover);
    return;
  }
  if (state.shutdown !== null) return endAlone(turn, handover);
  if (state.record !== null && now - state.record.freshAt > state.config.timings.fenceMs) return readRecord(turn);
  startReclaim(turn, `${handover.target} did not claim epoch ${handover.epoch} (the record is at ${record.epoch})`);
}

/**
 * A member that is to end does not take its lead back: its server is stopped, the store may be out of its reach by now (a cluster that is
 * deleted loses its rights there first), and whether the target still claims is the same as after a crash at this moment.
 */
function endAlone(turn: Turn, { command, target, epoch }: Handover): void {
  const why = `${target} did not claim epoch ${epoch}`;
  turn.say('switchover', `ends without a successor: ${why}`);
  turn.answer(command.id, false, why);
  turn.setLeader({ handover: null });
}
