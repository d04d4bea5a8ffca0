import type { ServerView, Upstream } from '#domain/server.ts';
import { mayCloneAgain } from './clone-again.ts';
import { relate } from './divergence.ts';
import type { Heartbeat } from './messages.ts';
import type { LeaderSeen } from './state.ts';
import type { Turn } from './turn.ts';

/** A standby that does not stream for so long is restarted once, and then cloned. */
const NOT_STREAMING_MS = 10_000;
const FORGET_REPEAT_MS = 300;
/** The look at the stopped server and that at the running one disagree about where its log ends: no loop of starts and stops. */
const PARTINGS = 3;
const PARTING_PAUSE_MS = 200;

type Running = Extract<ServerView, { state: 'standby' }>;
type Stopped = Extract<ServerView, { state: 'stopped' }>;

/** The leader that this member may follow now: heard lately, promoted, and not below its own promise (H13). */
export function leaderToFollow(turn: Turn): LeaderSeen | null {
  const { state, now } = turn;
  const seen = state.leaderSeen;
  if (seen === null || now - seen.at > state.config.timings.suspectAfterMs) return null;
  if (state.gaveUp >= seen.heartbeat.epoch) return null;
  if (!turn.must('followNotBelow', seen.heartbeat.epoch >= state.promise)) return null;
  return seen;
}

/** Brings this member to stream from the leader: by nothing, rewind or clone, in that order (H9). Returns whether it acted. */
export function follow(turn: Turn, seen: LeaderSeen): boolean {
  const { state, now } = turn;
  const { heartbeat } = seen;
  if (state.persisting !== null || state.job !== null || state.server === null || now < state.jobRetryAt) return false;
  if (heartbeat.server === null) return false;
  if (turn.applies('promiseBeforeFollow') && state.promise < heartbeat.epoch) {
    turn.say('H13', `promises epoch ${heartbeat.epoch} before it follows ${seen.member}`);
    turn.persist(heartbeat.epoch);
    return true;
  }
  if (state.forgetting !== null) return giveUpLog(turn, seen, heartbeat, state.forgetting.next);
  switch (state.server.state) {
    case 'absent':
      return cloneAnew(turn, seen);
    case 'stopped':
      return startBehind(turn, seen, heartbeat, state.server);
    case 'standby':
      return keepFollowing(turn, seen, heartbeat, state.server);
    default:
      return false;
  }
}

function upstreamOf(turn: Turn, seen: LeaderSeen): Upstream {
  const server = seen.heartbeat.server;
  return { member: seen.member, host: server?.host ?? '', port: server?.port ?? 0, name: turn.state.incarnation };
}

function cloneAnew(turn: Turn, seen: LeaderSeen): boolean {
  if (turn.state.config.paused) return false;
  // Lost without asking: whatever the old incarnation once confirmed must never count again.
  return takeIncarnation(turn, 'clone', cloneSource(turn, seen));
}

/** A streaming member with the tag clonefrom spares the leader. */
function cloneSource(turn: Turn, seen: LeaderSeen): Upstream {
  const { state } = turn;
  const source = Object.values(state.members).find(
    (member) =>
      member.tags.clonefrom && member.state === 'streaming' && member.name !== state.self.name && state.jobFailures === 0,
  );
  if (source === undefined) return upstreamOf(turn, seen);
  return { member: source.name, host: source.host, port: source.port, name: state.incarnation };
}

/** A new name before the old log goes; crashing in between leaves a name under which nothing was ever confirmed. */
function takeIncarnation(turn: Turn, next: 'clone' | 'rewind', upstream: Upstream): boolean {
  const { state } = turn;
  if (state.cloneInto !== state.incarnation) {
    const name = turn.applies('newIncarnation') ? `${state.self.name}_${turn.token()}` : state.incarnation;
    state.cloneInto = name;
    turn.say('H9', `takes the new incarnation ${name}`);
    turn.persist(state.promise, name);
    return true;
  }
  state.forgetting = null;
  turn.say('H9', next === 'clone' ? `clones from ${upstream.member}` : `rewinds to ${upstream.member}`);
  turn.run(next === 'clone' ? { kind: 'clone', upstream } : { kind: 'rewind', upstream });
  return true;
}

function startBehind(turn: Turn, seen: LeaderSeen, heartbeat: Heartbeat, server: Stopped): boolean {
  const { state } = turn;
  if (state.reinit !== null) return giveUpLog(turn, seen, heartbeat, 'clone');
  const relation = promotedByHand(turn, server) ? ({ kind: 'unrelated' } as const) : relate(server, heartbeat);
  if (relation.kind === 'follows') {
    turn.say('H9', `nothing to rewind: starts behind ${seen.member}`);
    turn.run({ kind: 'startStandby', upstream: upstreamOf(turn, seen) });
    return true;
  }
  if (state.config.paused) return false;
  return giveUpLog(turn, seen, heartbeat, relation.kind === 'diverged' && !state.rewindTried ? 'rewind' : 'clone');
}

/**
 * It was a primary on a timeline that it never claimed: somebody promoted it by hand. Should a claim take the same number later, the
 * two logs would look alike, and PostgreSQL would stream one over the other.
 */
function promotedByHand(turn: Turn, server: Stopped): boolean {
  const { state } = turn;
  if (!server.wasPrimary) return false;
  const { timeline } = server.position;
  const record = state.record?.value;
  const claimant =
    state.claims[timeline] ?? (timeline === 1 ? state.identity?.by : record?.timeline === timeline ? record.member : undefined);
  return !turn.must('namedTimeline', claimant === state.self.name);
}

function keepFollowing(turn: Turn, seen: LeaderSeen, heartbeat: Heartbeat, server: Running): boolean {
  const { state, now } = turn;
  if (state.reinit !== null || state.restarting !== null) {
    turn.run({ kind: 'stop', mode: 'fast' });
    return true;
  }
  if (relate(server, heartbeat).kind !== 'follows') {
    if (state.config.paused) return false;
    turn.say('H9', `its log has parted from ${seen.member}'s`);
    state.following = null;
    state.partings += 1;
    if (state.partings > PARTINGS && mayCloneAgain(turn)) state.reinit ??= { commandId: null };
    state.jobRetryAt = now + PARTING_PAUSE_MS * state.partings;
    turn.run({ kind: 'stop', mode: 'fast' });
    return true;
  }
  const upstream = upstreamOf(turn, seen);
  const current = state.following?.upstream;
  const same = current?.member === upstream.member && current.host === upstream.host && current.port === upstream.port;
  if (!same || current.name !== upstream.name) {
    turn.say('H13', `follows ${seen.member}, epoch ${heartbeat.epoch}`);
    turn.run({ kind: 'follow', upstream });
    return true;
  }
  return state.following !== null && seeStreaming(turn, server, now - state.following.streamedAt);
}

/** H11: a standby that silently stays behind is restarted, then cloned. */
function seeStreaming(turn: Turn, server: Running, silentMs: number): boolean {
  const { state, now } = turn;
  if (state.following === null) return false;
  if (server.streaming) {
    if (silentMs > 0) state.following = { ...state.following, streamedAt: now, restarted: false };
    state.rewindTried = false;
    state.clonesInVain = 0;
    state.partings = 0;
    return false;
  }
  if (silentMs < NOT_STREAMING_MS || state.config.paused) return false;
  if (!state.following.restarted) {
    turn.say('H11', `has not streamed for ${Math.round(silentMs / 1000)} s: restarts its server`);
    state.restartedAt = now;
    turn.run({ kind: 'stop', mode: 'fast' });
    return true;
  }
  if (!mayCloneAgain(turn)) return false;
  turn.say('H11', 'still does not stream after a restart: will be cloned');
  state.rewindTried = true;
  state.reinit ??= { commandId: null };
  return false;
}

/** H9: stop streaming, have the leader record the incarnation out of S, take a new one, and only then give WAL up. */
function giveUpLog(turn: Turn, seen: LeaderSeen, heartbeat: Heartbeat, next: 'rewind' | 'clone'): boolean {
  const { state, now } = turn;
  if (state.config.paused && state.reinit === null) return false;
  if (state.server?.state === 'standby') {
    turn.run({ kind: 'stop', mode: 'fast' });
    return true;
  }
  if (next === 'rewind' && !heartbeat.checkpointed) {
    state.standWhy = `waits for the first checkpoint of ${seen.member} on its timeline`;
    return false;
  }
  const { forgetting } = state;
  if (forgetting === null || forgetting.incarnation !== state.incarnation) {
    if (state.cloneInto === state.incarnation) return takeIncarnation(turn, next, upstreamOf(turn, seen));
    state.forgetting = { incarnation: state.incarnation, nonce: turn.token(), sentAt: -Infinity, done: false, next };
    return askToForget(turn, seen);
  }
  if (turn.must('forgetBeforeDiscard', forgetting.done)) return takeIncarnation(turn, next, upstreamOf(turn, seen));
  if (now - forgetting.sentAt < FORGET_REPEAT_MS) return false;
  return askToForget(turn, seen);
}

function askToForget(turn: Turn, seen: LeaderSeen): boolean {
  const { state } = turn;
  if (state.forgetting === null) return false;
  state.forgetting = { ...state.forgetting, sentAt: turn.now };
  turn.send(seen.member, { kind: 'forget', incarnation: state.forgetting.incarnation, nonce: state.forgetting.nonce });
  return true;
}

/** A member without a leader to follow: its server runs detached, so that it can tell its position and be promoted. */
export function stayReady(turn: Turn): boolean {
  const { state, now } = turn;
  if (state.job !== null || state.persisting !== null || state.server === null || now < state.jobRetryAt) return false;
  if (state.server.state !== 'stopped' || state.record?.value == null || promotedByHand(turn, state.server)) return false;
  const { member, incarnation } = state.record.value;
  if (member === state.self.name && incarnation === state.incarnation) return false;
  if (state.config.paused || state.shutdown !== null) return false;
  if (now - state.heartbeatAt < state.config.timings.suspectAfterMs) return false;
  // Whoever was asked to forget is silent: nothing is given up, and a late answer no longer counts.
  state.forgetting = null;
  turn.run({ kind: 'startStandby', upstream: null });
  return true;
}
