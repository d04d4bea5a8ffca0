import type { MemberName } from '#domain/member.ts';
import { absorbJobDone } from './absorb-job.ts';
import { absorbMessage } from './absorb-message.ts';
import { absorbRecord, absorbSwapped } from './absorb-store.ts';
import { bootstrap } from './bootstrap.ts';
import { considerStanding, continueCandidacy } from './candidacy.ts';
import { absorbCommand, continueShutdown } from './commands.ts';
import type { Because, Effect } from './effects.ts';
import { endServer } from './end-server.ts';
import type { HaEvent } from './events.ts';
import { follow, leaderToFollow, stayReady } from './following.ts';
import { foreignData } from './foreign-data.ts';
import { continueGrant } from './granting.ts';
import { cancelHandover } from './handover.ts';
import { lead, takeUpLead } from './leading.ts';
import { publish } from './publish.ts';
import { readRecord, swapRecord } from './record.ts';
import type { RuleName } from './rules.ts';
import type { HaState } from './state.ts';
import { stopStray } from './stray-server.ts';
import { Turn } from './turn.ts';
import { scheduleLook } from './watching.ts';

export interface Output {
  readonly state: HaState;
  /** In the order in which they are to be carried out; see `Effect`. */
  readonly effects: readonly Effect[];
  readonly because: readonly Because[];
}

export interface Ha {
  step(state: HaState, event: HaEvent, now: number): Output;
}

/** The decisions with some rules switched off, for the simulator. Programs use `step`. */
export function createHa(without: readonly RuleName[]): Ha {
  const missing = new Set(without);
  return {
    step(state, event, now) {
      const turn = new Turn(state, now, missing);
      wake(turn);
      absorb(turn, event);
      decide(turn);
      return { state: turn.state, effects: turn.effects, because: turn.because };
    },
  };
}

/** One event in, the next state and what has to be done out. `now` is monotonic milliseconds and never goes back. */
export const step = createHa([]).step;

/** Ticks come far more often: a longer gap was slept through, by a paused machine or a starved process. */
const SLEPT_MS = 500;

/**
 * Silence that this agent slept through proves nothing about the leader, and a clock that jumped makes no lease run out: both count
 * only the time awake. What proves its own leadership, on the contrary, ages while it sleeps.
 */
function wake(turn: Turn): void {
  const { state, now } = turn;
  const gapMs = now - state.steppedAt;
  state.steppedAt = now;
  if (gapMs < SLEPT_MS) return;
  state.heartbeatAt += gapMs;
  if (state.record !== null) state.record = { ...state.record, seenAt: state.record.seenAt + gapMs };
}

function absorb(turn: Turn, event: HaEvent): void {
  const { state } = turn;
  switch (event.kind) {
    case 'tick':
      state.wall = event.wall;
      return;
    case 'configured':
      state.config = event.config;
      return;
    case 'members':
      // Who has fallen silent stays known: its slot keeps WAL for its return.
      state.members = { ...state.members, ...Object.fromEntries(event.members.map((member) => [member.name, member])) };
      // Whoever is there has not left, or is back.
      state.left = state.left.filter((name) => !event.members.some((member) => member.name === name));
      // Its own record went though it is here, as when a person took it for gone: others look for its address there.
      if (state.published !== null && event.members.every((member) => member.name !== state.self.name))
        state.published = { ...state.published, at: -Infinity };
      return;
    case 'left':
      return absorbLeft(turn, event.names);
    case 'record':
      return absorbRecord(turn, event);
    case 'readFailed':
      state.reading = null;
      state.readFailedAt = turn.now;
      if (state.swap?.unknownAt != null) readRecord(turn);
      return;
    case 'swapped':
      return absorbSwapped(turn, event);
    case 'history':
      state.claims = Object.fromEntries(event.entries.map((entry) => [entry.timeline, entry.member]));
      return;
    case 'identity':
      if (JSON.stringify(state.identity) !== JSON.stringify(event.identity)) state.identitySeenAt = turn.now;
      state.identity = event.identity;
      state.identifying = false;
      return;
    case 'persisted':
      state.promise = event.promise;
      state.incarnation = event.incarnation;
      state.persisting = null;
      state.persistFailedAt = -Infinity;
      return;
    case 'persistFailed':
      return persistFailed(turn, event.why);
    case 'received':
      return absorbMessage(turn, event.from, event.message);
    case 'observed':
      return observed(turn, event);
    case 'serverEnded':
      return serverEnded(turn);
    case 'jobDone':
      return absorbJobDone(turn, event);
    case 'progress':
      return;
    case 'canary':
      state.canaryStuck = event.stuck;
      return;
    case 'guard':
      state.guardAlive = event.alive;
      state.guardDeadline = event.alive ? event.deadline : null;
      return;
    case 'command':
      return absorbCommand(turn, event.command);
  }
}

/** A leader goes on: whatever a person says, it is there. */
function absorbLeft(turn: Turn, names: readonly MemberName[]): void {
  const { state } = turn;
  state.left = names.filter((name) => name !== state.self.name && name !== state.record?.value?.member);
  const stays = ([name]: readonly [string, unknown]) => !state.left.includes(name);
  state.members = Object.fromEntries(Object.entries(state.members).filter(stays));
  state.peers = Object.fromEntries(Object.entries(state.peers).filter(stays));
}

function observed(turn: Turn, event: Extract<HaEvent, { kind: 'observed' }>): void {
  const { state } = turn;
  const discard = state.observing?.discard === true || state.job !== null;
  if (state.observing !== null) state.serverAt = discard ? state.serverAt : state.observing.sentAt;
  state.observing = null;
  if (discard) return;
  state.server = event.server;
  if (event.server.state !== 'stuck') state.unstuckAt = turn.now;
}

/** The server is gone this moment; a leader does not wait for the next look to decide who goes on. */
function serverEnded(turn: Turn): void {
  const { state } = turn;
  state.server = null;
  if (state.observing !== null) state.observing = { ...state.observing, discard: true };
  const leader = turn.leader;
  if (leader === null || state.job?.job.kind === 'stop') return;
  if (leader.phase === 'handover' && leader.handover !== null) {
    const begun = leader.handover.stage;
    if (begun === 'checkpoint' || begun === 'closing' || begun === 'draining')
      cancelHandover(turn, 'the server ended meanwhile', true);
    return;
  }
  if (leader.phase !== 'serving' && leader.phase !== 'gating') return;
  turn.say('step 1', 'the server of the leader has ended');
  endServer(turn);
}

/** What depended on the promise is called off; a disk that cannot hold a promise gives none. */
function persistFailed(turn: Turn, why: string): void {
  const { state } = turn;
  state.persisting = null;
  state.persistFailedAt = turn.now;
  state.jobRetryAt = turn.now + 1000;
  state.grant = null;
  turn.say('H10', `its promise could not be written: ${why}`);
  if (state.role.kind === 'candidate') state.role = { kind: 'member' };
  if (turn.leader !== null) turn.setLeader({ reclaiming: null });
  state.standBackUntil = turn.now + 1000;
}

/** The rules in their order; the first that acts on the server ends the step. */
function decide(turn: Turn): void {
  const { state } = turn;
  const foreign = foreignData(turn);
  if (foreign !== null) {
    if (state.reason.text !== foreign) turn.say('identity', foreign);
    state.grant = null;
    if (state.shutdown !== null) continueShutdown(turn);
  } else if (!continueShutdown(turn)) {
    continueGrant(turn);
    if (state.role.kind !== 'leader' && resumesLead(turn)) {
      const record = state.record?.value;
      if (record != null) takeUpLead(turn, record);
    }
    if (state.role.kind === 'leader') lead(turn);
    else if (state.role.kind === 'candidate') continueCandidacy(turn);
    if (state.role.kind === 'member' && state.grant?.stage !== 'detaching') beMember(turn);
  }
  scheduleLook(turn);
  publish(turn);
}

function beMember(turn: Turn): void {
  if (stopStray(turn) || bootstrap(turn)) return;
  const seen = leaderToFollow(turn);
  if (seen !== null) {
    follow(turn, seen);
    return;
  }
  if (!considerStanding(turn)) stayReady(turn);
}

/** H10: the record, written over by this run, names this member and its present incarnation, and its data is there. */
function resumesLead(turn: Turn): boolean {
  const { state } = turn;
  const record = state.record?.value;
  if (record == null || record.member !== state.self.name || record.incarnation !== state.incarnation) return false;
  if (state.persisting !== null || state.server === null || state.server.state === 'absent' || state.server.state === 'starting')
    return false;
  if (!turn.applies('reclaimNotStand')) return state.role.kind === 'member' && state.promise === record.epoch;
  if (state.record?.version === state.wroteVersion) return true;
  // A write of an earlier run may still be on its way: reading proves nothing against it, writing over the version does.
  if (state.swap === null) swapRecord(turn, { ...record, renewal: record.renewal + 1 }, true);
  return false;
}
