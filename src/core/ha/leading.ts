import type { LeaderRecord } from '#domain/leader-record.ts';
import type { ServerView } from '#domain/server.ts';
import { endServer, hasLeft } from './end-server.ts';
import { cancelHandover, continueHandover } from './handover.ts';
import { beLeader, newLeader } from './new-leader.ts';
import { proofOf, pushGuard } from './proof.ts';
import { reclaim, startReclaim } from './reclaim.ts';
import { readRecord, swapRecord } from './record.ts';
import { serve } from './serving.ts';
import type { Leader } from './state.ts';
import { bestSuccessor } from './successor.ts';
import { confirmations, runSetting } from './sync-change.ts';
import type { Turn } from './turn.ts';

/** Measured on small servers: ending, starting and gating again, without the replay. */
const RESTART_MS = 600;
/** Measured: election, promotion and gate, without the replay. */
const FAILOVER_MS = 400;
/** A careful guess of the replay rate: 50 MB a second, in bytes per millisecond. */
const REPLAY_BYTES_PER_MS = 50_000;
/** The server does not answer looks for so long: as stuck as a stuck canary. */
const STUCK_MS = 2000;

/** The record names this member. Takes the lead up again after a restart of the agent, in whatever state the server is. */
export function takeUpLead(turn: Turn, record: LeaderRecord): void {
  const { state, now } = turn;
  const behind = state.promise > record.epoch;
  // Without a server, its earlier run may have told everybody that it gave this epoch up: it leads again only with a higher one.
  const adopts = !behind && state.server?.state === 'primary';
  beLeader(turn, newLeader(record.epoch, adopts ? 'preparing' : 'gaveUp', now));
  turn.say(
    'H10',
    behind ? `has promised epoch ${state.promise}; re-claims unless somebody leads` : `leads epoch ${record.epoch}`,
  );
  if (!behind && !adopts) startReclaim(turn, 'its server does not run');
}

export function lead(turn: Turn): void {
  const { state } = turn;
  const leader = turn.leader;
  const record = state.record?.value;
  if (leader === null || record == null) return;
  if (record.member !== state.self.name || record.incarnation !== state.incarnation) return deposed(turn, record);
  if (state.persisting !== null) return;
  reclaim(turn, leader, record);
  sendHeartbeats(turn, leader);
  keepProof(turn, leader, record);
  if (selfFence(turn, leader, record)) return;
  if (serverDied(turn, leader)) return;
  switch (leader.phase) {
    case 'preparing':
      return prepare(turn, record);
    case 'gating':
      return passGate(turn, record);
    case 'serving':
      return serve(turn, record);
    case 'handover':
      return continueHandover(turn, record);
    case 'ended':
      return afterEnd(turn, record);
    case 'gaveUp':
      return afterGivingUp(turn);
  }
}

function deposed(turn: Turn, record: LeaderRecord): void {
  const { state } = turn;
  turn.say('H9', `epoch ${record.epoch} is led by ${record.member}: this server stops and follows`);
  const handover = turn.leader?.handover ?? null;
  if (handover !== null) {
    const ok = record.member === handover.target;
    turn.answer(handover.command.id, ok, ok ? `${record.member} leads epoch ${record.epoch}` : `${record.member} leads instead`);
  }
  const restarting = turn.leader?.restarting ?? null;
  if (restarting !== null) turn.answer(restarting, true, `${record.member} took over meanwhile`);
  const view = state.server?.state;
  // Whatever the last look said: one that does not answer may go on serving when it does again.
  if (
    view !== 'stopped' &&
    view !== 'absent' &&
    view !== 'standby' &&
    state.job?.job.kind !== 'stop' &&
    turn.applies('stopBelowEpoch')
  )
    turn.run({ kind: 'stop', mode: 'kill' });
  state.role = { kind: 'member' };
}

function sendHeartbeats(turn: Turn, leader: Leader): void {
  const { state, now } = turn;
  const { heartbeatMs, fenceMs } = state.config.timings;
  const promised = state.promise > leader.epoch && leader.reclaiming === null;
  const silent = leader.phase === 'gaveUp' || promised || hasLeft(leader);
  const view = state.server?.state === 'primary' ? state.server : null;
  const admits =
    view !== null &&
    leader.slots !== null &&
    (leader.phase === 'gating' || leader.phase === 'serving' || leader.phase === 'handover');
  // That there is a server to follow is told at once: the gate waits for those who follow.
  if (silent || (now - leader.heartbeatAt < heartbeatMs && admits === leader.announced)) return;
  turn.setLeader({ heartbeatAt: now, announced: admits });
  turn.broadcast({
    kind: 'heartbeat',
    epoch: leader.epoch,
    run: state.self.run,
    sentAt: now,
    fenceMs,
    server: admits ? { host: state.self.host, port: state.self.port } : null,
    position: view?.position ?? state.leaderSeen?.heartbeat.position ?? { timeline: 0, lsn: 0n },
    lineage: view?.lineage ?? [],
    checkpointed: leader.checkpointed,
  });
}

/** Renews the lease (k = 0), or reads the record while fewer than k confirm: reads of clients may go on with that. */
function keepProof(turn: Turn, leader: Leader, record: LeaderRecord): void {
  const { state, now } = turn;
  const { fenceMs, leaseMs } = state.config.timings;
  if (leader.phase === 'gaveUp' || leader.reclaiming !== null) return;
  if (record.k === 0) {
    const due = now - leader.renewedAt > leaseMs / 3 && record.eligible.length > 1;
    if (due && state.swap === null) swapRecord(turn, { ...record, renewal: record.renewal + 1 }, false);
    return;
  }
  const proof = proofOf(turn, leader, record);
  if (proof.serveUntil - now < fenceMs / 2 && now - (state.reading ?? state.readFailedAt) > fenceMs / 4) readRecord(turn);
}

/** H6: no proof: clients are cut at the fence, the server is ended at the end of the lease. Returns whether the server is ended. */
function selfFence(turn: Turn, leader: Leader, record: LeaderRecord): boolean {
  const { state, now } = turn;
  if (leader.phase === 'ended' || leader.phase === 'gaveUp' || hasLeft(leader)) {
    if (leader.cleaned) pushGuard(turn, null);
    return false;
  }
  const proof = proofOf(turn, leader, record);
  pushGuard(turn, turn.applies('fence') ? proof.endAt : null);
  if (!turn.applies('fence')) return false;
  if (now > proof.endAt && state.server?.state !== 'stopped') {
    turn.say('fence', 'no proof of leadership for a lease: the server is ended');
    if (leader.handover !== null) turn.answer(leader.handover.command.id, false, 'the leader lost its proof of leadership');
    turn.setLeader({ handover: null });
    endServer(turn);
    return true;
  }
  const serves = leader.phase === 'serving' || leader.phase === 'handover';
  const admits = serves && !leader.fenced;
  const cutAgain = serves && leader.cutFailed && now >= state.jobRetryAt;
  if (now > proof.serveUntil && (admits || cutAgain) && state.job === null) {
    if (leader.phase === 'handover') cancelHandover(turn, 'the leader has no proof any more', false);
    turn.say('fence', 'no proof of leadership within the fence: clients are cut');
    turn.setLeader({ fenced: true, cutFailed: false });
    turn.run({ kind: 'gate', open: false, cut: true });
  } else if (now > proof.serveUntil + state.config.timings.fenceMs && admits) {
    turn.say('fence', `clients cannot be cut while ${state.job?.job.kind ?? 'something'} runs: the server is ended`);
    if (leader.handover !== null) turn.answer(leader.handover.command.id, false, 'the leader lost its proof of leadership');
    turn.setLeader({ handover: null });
    endServer(turn);
    return true;
  } else if (leader.fenced && now < proof.serveUntil && state.job === null) {
    turn.say('fence', 'proof of leadership is back: the gate is passed again');
    turn.setLeader({ fenced: false, cutFailed: false, phase: 'gating', phaseAt: now });
  }
  return false;
}

/** Notices that the server of a leader ended by itself, or that it is stuck and somebody else could go on. */
function serverDied(turn: Turn, leader: Leader): boolean {
  const { state, now } = turn;
  const expectsServer = leader.phase === 'gating' || leader.phase === 'serving';
  if (!expectsServer) return false;
  const view = state.server?.state;
  if (view === 'stopped' || view === 'absent' || view === 'standby') {
    turn.say('step 1', 'the server of the leader has ended');
    endServer(turn);
    return true;
  }
  const stuck = state.canaryStuck ?? (view === 'stuck' ? 'it does not answer' : null);
  if (stuck === null) {
    if (leader.stuckSince !== null) turn.setLeader({ stuckSince: null });
    return false;
  }
  if (leader.stuckSince === null) turn.setLeader({ stuckSince: now });
  const since = leader.stuckSince ?? now;
  const someone = bestSuccessor(turn) !== null;
  const limitMs = state.canaryStuck !== null && someone ? 0 : someone ? STUCK_MS : state.config.timings.leaseMs;
  if (now - since < limitMs || state.config.paused) return false;
  turn.say('step 1', `the server is stuck (${stuck}): it is ended`);
  endServer(turn);
  return true;
}

function prepare(turn: Turn, record: LeaderRecord): void {
  const { state, now } = turn;
  const server = state.server;
  const leader = turn.leader;
  if (leader === null || server === null || state.job !== null || now < leader.restartAt) return;
  if (!state.guardAlive) {
    state.standWhy = 'no guard, no leadership';
    return;
  }
  switch (server.state) {
    case 'primary':
      return prepared(turn, server, record);
    case 'standby':
      if (server.position.timeline >= record.timeline) return turn.run({ kind: 'stop', mode: 'fast' });
      turn.say('step 6', `promotes to timeline ${record.timeline}`);
      return turn.run({ kind: 'promote', timeline: record.timeline });
    case 'stopped':
      if (!mayStart(turn, leader, record)) return;
      if (server.position.timeline > record.timeline)
        return giveUp(turn, `its log is on timeline ${server.position.timeline}, not the claimed one`);
      if (turn.must('claimedTimeline', server.position.timeline === record.timeline)) return turn.run({ kind: 'startPrimary' });
      return turn.run({ kind: 'startStandby', upstream: null });
    case 'stuck':
      return turn.run({ kind: 'stop', mode: 'kill' });
    case 'absent':
      state.role = { kind: 'member' };
      return;
    case 'starting':
      return;
  }
}

function prepared(turn: Turn, server: Extract<ServerView, { state: 'primary' }>, record: LeaderRecord): void {
  if (!turn.must('claimedTimeline', server.position.timeline === record.timeline)) return endServer(turn);
  turn.setLeader({ gateAt: server.position, failedStarts: 0 });
  if (server.gateOpen) {
    turn.say('adoption', 'found its server running and serving');
    return turn.setPhase('serving');
  }
  turn.setPhase('gating');
}

/** Starting needs fresh proof, an unbroken promise, and a pause after failures: never a crash loop. */
function mayStart(turn: Turn, leader: Leader, record: LeaderRecord): boolean {
  const { state, now } = turn;
  if (state.promise !== leader.epoch || state.config.paused) return false;
  const { serveUntil } = proofOf(turn, leader, record);
  const known = state.record !== null && now - state.record.freshAt < state.config.timings.fenceMs;
  if (now < serveUntil || known) return true;
  if (state.reading === null && now - state.readFailedAt > state.config.timings.fenceMs / 4) readRecord(turn);
  return false;
}

/** Step 6: clients come in when k of S have confirmed the end of recovery on the current timeline (H12). */
function passGate(turn: Turn, record: LeaderRecord): void {
  const { state, now } = turn;
  const leader = turn.leader;
  const view = state.server;
  if (leader === null || view?.state !== 'primary' || state.job !== null || now < state.jobRetryAt) return;
  if (leader.slots === null) {
    const keep = Object.values(state.members)
      .map((member) => member.incarnation)
      .filter((name) => name !== state.incarnation);
    turn.setLeader({ slots: keep });
    return turn.run({ kind: 'slots', keep });
  }
  const recorded = { sync: record.sync, k: record.k };
  const wait = record.k < state.config.synchronousCount && state.config.durability === 'required';
  if (state.swap === null && leader.running === null && runSetting(turn, leader, recorded, recorded, wait)) return;
  const at = leader.gateAt ?? view.position;
  if (leader.gateAt === null) turn.setLeader({ gateAt: at });
  const reached = record.k === 0 || confirmations(view, recorded, at) >= record.k;
  const proven = now < proofOf(turn, leader, record).serveUntil || !turn.applies('fence');
  if (proven && turn.must('gate', reached)) return turn.run({ kind: 'gate', open: true, cut: false });
  serve(turn, record);
}

/** The server is gone. Somebody who has everything goes on, or this one starts again, whichever is predicted to be faster. */
function afterEnd(turn: Turn, record: LeaderRecord): void {
  const { state, now } = turn;
  const leader = turn.leader;
  if (leader === null || state.job !== null) return;
  if (!leader.cleaned) return turn.run({ kind: 'stop', mode: 'kill' });
  if (state.config.paused || state.shutdown !== null || now < leader.restartAt) return;
  const successor = leader.restarting === null ? bestSuccessor(turn) : null;
  if (state.server === null && (successor === null || Number(successor.lagBytes) > REPLAY_BYTES_PER_MS)) return;
  const redoBytes = state.server?.state === 'stopped' ? state.server.redoBytes : 0;
  const restartMs = RESTART_MS + redoBytes / REPLAY_BYTES_PER_MS + (leader.failedStarts > 0 ? Infinity : 0);
  const failoverMs = FAILOVER_MS + (successor === null ? Infinity : Number(successor.lagBytes) / REPLAY_BYTES_PER_MS);
  if (successor !== null && failoverMs <= restartMs) return giveUp(turn, `${successor.name} is predicted to be faster`);
  if (!mayStart(turn, leader, record) || !state.guardAlive) return;
  turn.say('crash recovery', 'starts in place');
  turn.setPhase('preparing');
}

function giveUp(turn: Turn, why: string): void {
  const leader = turn.leader;
  if (leader === null) return;
  turn.say('step 1', `gives up epoch ${leader.epoch}: ${why}`);
  turn.setPhase('gaveUp');
  turn.state.gaveUp = Math.max(turn.state.gaveUp, leader.epoch);
  turn.broadcast({ kind: 'gaveUp', epoch: leader.epoch });
}

function afterGivingUp(turn: Turn): void {
  const { state, now } = turn;
  const leader = turn.leader;
  if (leader === null || state.grant !== null || state.job !== null) return;
  const server = state.server;
  if (server === null) return;
  if (server.state !== 'stopped' && server.state !== 'absent' && server.state !== 'standby')
    return turn.run({ kind: 'stop', mode: 'kill' });
  const waitMs = state.config.timings.handoverTimeoutMs;
  if (now - leader.phaseAt < waitMs || now < state.standBackUntil || leader.reclaiming !== null || state.config.paused) return;
  if (state.record !== null && now - state.record.freshAt > state.config.timings.fenceMs) return readRecord(turn);
  startReclaim(turn, 'nobody took over');
}
