import type { MemberName } from '#domain/member.ts';
import { acceptHandover } from './candidacy.ts';
import { answerAsk, askedToPromise, currentPosition } from './granting.ts';
import type { Alive, Heartbeat, Message, Promised, Would } from './messages.ts';
import { startReclaim } from './reclaim.ts';
import { readRecord } from './record.ts';
import { standDown } from './stand-down.ts';
import type { Turn } from './turn.ts';

/** Takes in what another member said. */
export function absorbMessage(turn: Turn, from: MemberName, message: Message): void {
  const { state } = turn;
  switch (message.kind) {
    case 'heartbeat':
      return onHeartbeat(turn, from, message);
    case 'alive':
      return onAlive(turn, from, message);
    case 'gaveUp':
      if (state.record?.value?.member === from) state.gaveUp = Math.max(state.gaveUp, message.epoch);
      return;
    case 'ask':
      return answerAsk(turn, from, message);
    case 'would':
      return onWould(turn, from, message);
    case 'promise':
      return askedToPromise(turn, from, message);
    case 'promised':
      return onPromised(turn, from, message);
    case 'refused':
      hear(turn, from, { promised: message.promised });
      if (state.role.kind === 'candidate' && state.role.id === message.id) state.standWhy = `${from}: ${message.why}`;
      return;
    case 'handover':
      return acceptHandover(turn, from, message.epoch, message.log);
    case 'forget':
      return onForget(turn, from, message.incarnation, message.nonce);
    case 'forgotten':
      if (state.forgetting?.nonce === message.nonce && state.forgetting.incarnation === message.incarnation)
        state.forgetting = { ...state.forgetting, done: true };
      return;
  }
}

interface Heard {
  readonly incarnation?: string;
  readonly promised?: number;
  readonly position?: { readonly timeline: number; readonly lsn: bigint };
  readonly confirmedAt?: number;
}

function hear(turn: Turn, from: MemberName, heard: Heard): void {
  const { state } = turn;
  const known = state.peers[from] ?? {
    incarnation: '',
    promised: 0,
    position: { timeline: 0, lsn: 0n },
    heardAt: turn.now,
    confirmedAt: -Infinity,
  };
  const renamed = heard.incarnation !== undefined && heard.incarnation !== known.incarnation;
  const confirmedAt = Math.max(renamed ? -Infinity : known.confirmedAt, heard.confirmedAt ?? -Infinity);
  state.peers = {
    ...state.peers,
    [from]: {
      incarnation: heard.incarnation ?? known.incarnation,
      promised: Math.max(known.promised, heard.promised ?? 0),
      position: heard.position ?? known.position,
      heardAt: turn.now,
      confirmedAt,
    },
  };
}

/** A leader lives. The answer binds: no promise against it until the silence has lasted anew. */
function onHeartbeat(turn: Turn, from: MemberName, heartbeat: Heartbeat): void {
  const { state } = turn;
  const recorded = state.record?.value?.epoch ?? 0;
  const highest = Math.max(state.promise, state.persisting?.promise ?? 0, recorded);
  if (heartbeat.epoch >= recorded) state.heartbeatAt = turn.now;
  if (heartbeat.epoch >= recorded && heartbeat.epoch >= (state.leaderSeen?.heartbeat.epoch ?? 0))
    state.leaderSeen = { member: from, heartbeat, at: turn.now };
  if (heartbeat.epoch > recorded) readRecord(turn);
  if (state.role.kind === 'candidate' && state.role.epoch <= heartbeat.epoch && heartbeat.epoch >= highest)
    standDown(turn, `${from} leads epoch ${heartbeat.epoch}`);
  turn.send(from, {
    kind: 'alive',
    epoch: heartbeat.epoch,
    run: heartbeat.run,
    sentAt: heartbeat.sentAt,
    promised: highest,
    incarnation: state.incarnation,
    position: currentPosition(turn),
  });
}

function onAlive(turn: Turn, from: MemberName, alive: Alive): void {
  const { state } = turn;
  const leader = turn.leader;
  const confirms = leader !== null && alive.run === state.self.run && alive.promised <= leader.epoch;
  hear(turn, from, {
    incarnation: alive.incarnation,
    promised: alive.promised,
    position: alive.position,
    ...(confirms ? { confirmedAt: alive.sentAt } : {}),
  });
  const record = state.record?.value;
  if (leader === null || record == null || alive.promised <= leader.epoch || leader.reclaiming !== null) return;
  // Members outside S too: they could not follow an epoch below their promise, and would never come back.
  const may = leader.phase !== 'gaveUp' && leader.handover === null && state.persisting === null && state.swap === null;
  if (may && turn.applies('reclaimOnHigher')) startReclaim(turn, `${from} has promised epoch ${alive.promised}`);
}

function onWould(turn: Turn, from: MemberName, would: Would): void {
  const { state } = turn;
  hear(turn, from, { incarnation: would.incarnation, promised: would.promised, position: would.position });
  if (state.role.kind !== 'candidate' || state.role.id !== would.id) return;
  const { willing, why, incarnation, position, mayLead, priority } = would;
  turn.setCandidate({ answers: { ...state.role.answers, [from]: { willing, why, incarnation, position, mayLead, priority } } });
}

function onPromised(turn: Turn, from: MemberName, promised: Promised): void {
  const { state } = turn;
  hear(turn, from, { incarnation: promised.log.incarnation, promised: promised.epoch, position: promised.log.position });
  if (state.role.kind !== 'candidate' || state.role.id !== promised.id || state.role.epoch !== promised.epoch) return;
  turn.setCandidate({ promises: { ...state.role.promises, [from]: promised.log } });
}

function onForget(turn: Turn, from: MemberName, incarnation: string, nonce: string): void {
  const leader = turn.leader;
  if (leader === null || leader.phase === 'gaveUp') return;
  const forgotten = leader.forgotten.includes(incarnation) ? leader.forgotten : [...leader.forgotten, incarnation].slice(-64);
  const others = leader.forgetRequests.filter((request) => request.from !== from);
  turn.setLeader({ forgotten, forgetRequests: [...others, { from, incarnation, nonce }] });
}
