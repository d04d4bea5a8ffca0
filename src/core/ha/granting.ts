import type { MemberName } from '#domain/member.ts';
import type { Position } from '#domain/position.ts';
import type { ServerView } from '#domain/server.ts';
import type { Log } from './divergence.ts';
import { foreignData } from './foreign-data.ts';
import type { Ask, PromiseRequest } from './messages.ts';
import { leaderSilence } from './silence.ts';
import { standDown } from './stand-down.ts';
import type { Grant } from './state.ts';
import type { Turn } from './turn.ts';

/** Answers "would you promise, and where are you?"; changes nothing. */
export function answerAsk(turn: Turn, from: MemberName, ask: Ask): void {
  const { state } = turn;
  const why = refusal(turn, ask.epoch) ?? (leaderSilence(turn) === 'heard' ? 'the leader is heard of' : null);
  turn.send(from, {
    kind: 'would',
    id: ask.id,
    willing: why === null,
    why: why ?? '',
    promised: state.promise,
    incarnation: state.incarnation,
    position: currentPosition(turn),
    mayLead: state.server?.state === 'standby' && !state.self.tags.nofailover,
    priority: state.self.tags.priority,
  });
}

export function currentPosition(turn: Turn): Position {
  const server = turn.state.server;
  return server !== null && 'position' in server ? server.position : { timeline: 0, lsn: 0n };
}

/** Somebody promoted this server by hand: its log is on a timeline that no claim has reserved. */
export function unclaimedTimeline(turn: Turn): string | null {
  const { timeline } = currentPosition(turn);
  const recorded = turn.state.record?.value?.timeline ?? timeline;
  return turn.must('namedTimeline', timeline <= recorded) ? null : `its log is on timeline ${timeline}, which nobody claimed`;
}

/** Somebody asks for a promise. It is judged in `continueGrant`, when there is a fresh look at the server to judge by. */
export function askedToPromise(turn: Turn, from: MemberName, request: PromiseRequest): void {
  const { state } = turn;
  const why = refusal(turn, request.epoch);
  if (why !== null) return refuse(turn, from, request.id, request.epoch, why);
  if (state.grant !== null && state.grant.stage === 'detaching' && state.grant.epoch >= request.epoch) {
    if (state.grant.id !== request.id) refuse(turn, from, request.id, request.epoch, 'busy with another promise');
    return;
  }
  state.grant = { from, id: request.id, epoch: request.epoch, forced: request.forced, askedAt: turn.now, stage: 'judging' };
}

function refuse(turn: Turn, to: MemberName, id: string, epoch: number, why: string): void {
  turn.say('step 3', `refuses epoch ${epoch} to ${to}: ${why}`);
  turn.send(to, { kind: 'refused', id, epoch, promised: turn.state.promise, why });
}

/** What forbids the promise whatever the leader's silence. */
function refusal(turn: Turn, epoch: number): string | null {
  const { state } = turn;
  if (epoch < state.promise) return `has promised epoch ${state.promise}`;
  const recorded = state.record?.value?.epoch ?? 0;
  if (recorded >= epoch) return `epoch ${recorded} is recorded`;
  if (state.leaderSeen !== null && state.leaderSeen.heartbeat.epoch >= epoch) return `epoch ${epoch} has a leader`;
  if (state.job?.job.kind === 'clone' || state.job?.job.kind === 'rewind') return `${state.job.job.kind} is running`;
  if (state.server?.state === 'absent') return 'it has no data';
  if (foreignData(turn) !== null) return 'its data belongs to another cluster';
  const unclaimed = unclaimedTimeline(turn);
  if (unclaimed !== null) return unclaimed;
  const leader = turn.leader;
  if (leader === null) return null;
  if (leader.phase === 'gaveUp') return null;
  if (leader.phase === 'ended' && leader.restarting === null && state.shutdown === null) return null;
  return 'it leads';
}

/** Step 3 in its order: judge, (a) promise on disk and server given up, (b)–(d) detach, (e) answer. */
export function continueGrant(turn: Turn): void {
  const { state } = turn;
  const grant = state.grant;
  if (grant === null || state.persisting !== null) return;
  if (turn.now - grant.askedAt > state.config.timings.promiseTimeoutMs) return abandon(turn, grant, 'too late');
  if (grant.stage === 'judging') return judgeGrant(turn, grant);
  if (state.job !== null || state.server === null) return;
  if (mayWrite(state.server))
    return turn.applies('giveUpFirst') ? turn.run({ kind: 'stop', mode: 'kill' }) : granted(turn, grant, knownLog(turn));
  if (turn.applies('detachBeforeAnswer')) turn.run({ kind: 'detach' });
  else granted(turn, grant, knownLog(turn));
}

function mayWrite(server: ServerView): boolean {
  return server.state !== 'standby' && server.state !== 'stopped' && server.state !== 'absent';
}

function knownLog(turn: Turn): Log {
  return { position: currentPosition(turn), lineage: [] };
}

function judgeGrant(turn: Turn, grant: Grant): void {
  const { state } = turn;
  const why = refusal(turn, grant.epoch);
  if (why !== null) return abandon(turn, grant, why);
  if (state.job !== null || claimUnsettled(turn)) return;
  if (!grant.forced && grant.epoch > state.promise && turn.applies('silenceBeforeGrant')) {
    const silence = leaderSilence(turn);
    if (silence === 'unknown') return;
    if (silence === 'heard') return abandon(turn, grant, 'the leader is heard of');
  }
  if (state.role.kind === 'candidate' && state.role.epoch !== grant.epoch && turn.applies('ownPromiseAtClaim'))
    standDown(turn, `promises epoch ${grant.epoch} to ${grant.from}`);
  if (grant.epoch === state.promise && !turn.applies('detachAgain')) return granted(turn, grant, knownLog(turn));
  turn.say('step 3', `promises epoch ${grant.epoch} to ${grant.from}`);
  state.grant = { ...grant, stage: 'detaching' };
  state.following = null;
  state.standBackUntil = turn.now + state.config.timings.promiseTimeoutMs * (1 + turn.random());
  if (turn.leader !== null) turn.setPhase('gaveUp');
  if (grant.epoch > state.promise) turn.persist(grant.epoch);
}

/** A claim of its own is still on its way: were a higher epoch promised meanwhile, the claim could land after that promise. */
function claimUnsettled(turn: Turn): boolean {
  const { swap, record, self } = turn.state;
  const claims = swap !== null && swap.record.member === self.name && swap.record.epoch > (record?.value?.epoch ?? 0);
  return claims && turn.applies('ownPromiseAtClaim');
}

function abandon(turn: Turn, grant: Grant, why: string): void {
  turn.state.grant = null;
  refuse(turn, grant.from, grant.id, grant.epoch, why);
}

/** The detaching is done: (e) answer with incarnation, position and history. */
export function granted(turn: Turn, grant: Grant, log: Log): void {
  const { state } = turn;
  state.grant = null;
  if (state.promise !== grant.epoch)
    return refuse(turn, grant.from, grant.id, grant.epoch, `has promised epoch ${state.promise}`);
  turn.send(grant.from, { kind: 'promised', id: grant.id, epoch: grant.epoch, log: { incarnation: state.incarnation, ...log } });
}
