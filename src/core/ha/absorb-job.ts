import type { JobResult, ServerJob } from '#domain/server.ts';
import { mayCloneAgain } from './clone-again.ts';
import type { HaEvent } from './events.ts';
import { granted } from './granting.ts';
import { cancelHandover, stoppedForHandover } from './handover.ts';
import { positionText } from './position-text.ts';
import { standDown } from './stand-down.ts';
import type { Turn } from './turn.ts';

const RETRY_MS = 100;
const RETRY_MAX_MS = 10_000;
const START_RETRY_MS = 500;
const START_RETRY_MAX_MS = 30_000;
/** A rewind or start that failed so often will not succeed: the member is cloned. */
const ATTEMPTS = 3;
const START_ATTEMPTS = 6;

type JobDone = Extract<HaEvent, { kind: 'jobDone' }>;
type Succeeded = Extract<JobResult, { ok: true }>;
type Failed = Extract<JobResult, { ok: false }>;

/** A job on the server has ended. */
export function absorbJobDone(turn: Turn, event: JobDone): void {
  const { state } = turn;
  if (event.id === state.checkpointing) {
    state.checkpointing = null;
    state.checkpointResult = event.result.ok ? 'done' : 'failed';
    return;
  }
  if (state.job === null || event.id !== state.job.id) return;
  const { job } = state.job;
  state.job = null;
  if (changesServer(job)) {
    state.server = null;
    if (state.observing !== null) state.observing = { ...state.observing, discard: true };
  }
  if (event.result.ok) {
    state.jobFailures = 0;
    return succeeded(turn, job, event.result);
  }
  state.jobFailures += 1;
  state.jobRetryAt = turn.now + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(state.jobFailures, 10));
  turn.say('job', `${job.kind} failed: ${event.result.why}`);
  failed(turn, job, event.result);
}

/** Others leave the last look at the server true. */
function changesServer(job: ServerJob): boolean {
  return job.kind !== 'slots' && job.kind !== 'setSync' && job.kind !== 'drain' && job.kind !== 'checkpoint';
}

function succeeded(turn: Turn, job: ServerJob, result: Succeeded): void {
  const { state } = turn;
  switch (job.kind) {
    case 'bootstrap':
      state.madeSystem = result.systemIdentifier ?? null;
      return;
    case 'clone':
    case 'rewind':
      return replaced(turn, job.kind, result);
    case 'startStandby':
    case 'follow':
      state.restarting = done(turn, state.restarting, 'restarted');
      state.following =
        job.upstream === null
          ? null
          : {
              upstream: job.upstream,
              epoch: state.leaderSeen?.heartbeat.epoch ?? 0,
              since: turn.now,
              streamedAt: turn.now,
              restarted: turn.now - state.restartedAt < 60_000,
            };
      return;
    case 'detach':
      return detached(turn, result);
    case 'fetch':
      if (state.role.kind === 'candidate' && result.log !== undefined)
        turn.setCandidate({ own: result.log, phase: 'promising', startedAt: turn.now });
      return;
    case 'promote':
      return promoted(turn, result);
    case 'setSync':
      if (turn.leader !== null && turn.leader.phase !== 'ended')
        turn.setLeader({ running: { setting: job.setting, wait: job.wait, inForceAt: turn.now }, confirm: null });
      return;
    case 'gate':
      return gateMoved(turn, job.open);
    case 'stop':
      return stopped(turn, result);
    case 'startPrimary':
    case 'slots':
    case 'drain':
    case 'checkpoint':
      return;
  }
}

function done(turn: Turn, id: string | null, text: string): null {
  if (id !== null) turn.answer(id, true, text);
  return null;
}

function replaced(turn: Turn, method: 'clone' | 'rewind', result: Succeeded): void {
  const { state } = turn;
  // pg_rewind finds nothing to do between two logs of one timeline number: if they still part, only a clone helps.
  state.rewindTried = method === 'rewind';
  state.forgetting = null;
  state.cloneInto = null;
  if (result.gaveUp !== undefined) {
    turn.say('H9', `gave up ${positionText(result.gaveUp.from)} to ${positionText(result.gaveUp.to)}`);
    const { from, to } = result.gaveUp;
    turn.do({
      kind: 'reportDivergence',
      divergence: { member: state.self.name, incarnation: state.incarnation, from, to, method },
    });
  }
  if (method === 'clone') {
    state.clonedAt = turn.now;
    state.clonesInVain += 1;
  }
  if (method === 'rewind' || state.reinit === null) return;
  if (state.reinit.commandId !== null) turn.answer(state.reinit.commandId, true, 'cloned anew');
  state.reinit = null;
}

function detached(turn: Turn, result: Succeeded): void {
  const { state } = turn;
  const log = result.log;
  if (log === undefined) return;
  if (state.role.kind === 'candidate' && state.role.own === null && state.promise === state.role.epoch)
    turn.setCandidate({ own: log });
  if (state.grant?.stage === 'detaching') granted(turn, state.grant, log);
}

/** The claimed timeline begins: its end of recovery is what the gate waits for. */
function promoted(turn: Turn, result: Succeeded): void {
  const { state } = turn;
  const record = state.record?.value;
  const log = result.log;
  if (turn.leader === null || record == null || log === undefined) return;
  turn.setLeader({ gateAt: log.position, failedStarts: 0 });
  turn.setPhase('gating');
  turn.do({
    kind: 'appendHistory',
    entry: {
      epoch: record.epoch,
      member: record.member,
      timeline: log.position.timeline,
      lineage: log.lineage,
      cause: record.cause,
      at: record.since,
      evidence: record.evidence,
      ...(record.cause === 'forced' ? { lost: 'whatever was acknowledged beyond the switch point' } : {}),
    },
  });
}

function gateMoved(turn: Turn, open: boolean): void {
  const leader = turn.leader;
  if (leader === null || !open) return;
  if (leader.restarting !== null) turn.setLeader({ restarting: done(turn, leader.restarting, 'restarted in place') });
  if (leader.phase === 'gating') {
    turn.say('H12', 'admits clients');
    turn.setPhase('serving');
  }
}

function stopped(turn: Turn, result: Succeeded): void {
  const leader = turn.leader;
  if (leader === null) {
    turn.state.following = null;
    return;
  }
  turn.setLeader({ cleaned: true, running: null, slots: null, gateAt: null, confirm: null, checkpointed: false });
  turn.state.checkpointResult = null;
  if (leader.handover?.stage === 'stopping') {
    if (result.log !== undefined) return stoppedForHandover(turn, result.log);
    turn.answer(leader.handover.command.id, false, 'the server did not stop cleanly in time');
    turn.setLeader({ handover: null });
    turn.setPhase('ended');
  }
}

function failed(turn: Turn, job: ServerJob, result: Failed): void {
  const { state } = turn;
  const leader = turn.leader;
  switch (job.kind) {
    case 'detach':
      state.grant = null;
      return standDown(turn, `its server could not be detached: ${result.why}`);
    case 'fetch':
      if (state.role.kind === 'candidate' && state.role.cause === 'forced')
        return turn.setCandidate({ phase: 'promising', cannotFetch: true, startedAt: turn.now, own: null });
      return standDown(turn, `could not fetch: ${result.why}`);
    case 'rewind':
      state.rewindTried = result.code === 'unusable' || state.jobFailures >= ATTEMPTS;
      return;
    case 'startStandby':
      return failedToFollow(turn, job, result);
    case 'startPrimary':
    case 'promote':
      return failedToStart(turn, job);
    case 'gate':
      if (leader?.handover !== null) cancelHandover(turn, result.why, false);
      else if (leader.fenced && !job.open) turn.setLeader({ cutFailed: true });
      return;
    case 'slots':
      if (leader !== null) turn.setLeader({ slots: null });
      return;
    case 'stop':
      if (leader?.handover != null) cancelHandover(turn, result.why, true);
      return;
    default:
      return;
  }
}

/** Last of H9's ladder: a directory that does not start behind a leader is cloned anew, but not again and again. */
function failedToFollow(turn: Turn, job: Extract<ServerJob, { kind: 'startStandby' }>, result: Failed): void {
  const { state } = turn;
  if (job.upstream === null || result.code === 'diskFull' || result.code === 'cancelled') return;
  const hopeless = result.code === 'unusable' || state.jobFailures >= START_ATTEMPTS;
  if (!hopeless || !mayCloneAgain(turn)) return;
  turn.say('H9', 'its data does not start behind the leader: will be cloned');
  state.rewindTried = true;
  state.reinit ??= { commandId: null };
}

/** Never a crash loop: the pause doubles, and whoever else can lead is preferred from the first failure on. */
function failedToStart(turn: Turn, job: ServerJob): void {
  const leader = turn.leader;
  if (leader === null) return;
  const failedStarts = leader.failedStarts + 1;
  const pauseMs = Math.min(START_RETRY_MAX_MS, START_RETRY_MS * 2 ** Math.min(failedStarts, 10));
  turn.setLeader({ failedStarts, restartAt: turn.now + pauseMs, cleaned: false });
  if (job.kind === 'startPrimary') turn.setPhase('ended');
}
