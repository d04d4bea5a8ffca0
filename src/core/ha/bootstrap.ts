import type { LeaderRecord } from '#domain/leader-record.ts';
import { readRecord, swapRecord } from './record.ts';
import type { Turn } from './turn.ts';

/** Whoever announced a bootstrap and was not heard of for so many leases has died in it. */
const TAKE_OVER_LEASES = 3;
/** Members that start together have announced themselves after this. */
const GATHERING_MS = 300;
const PATIENCE_MS = 3000;

/** A cluster without a leader record: one member makes the first server. Returns whether this member is at it. */
export function bootstrap(turn: Turn): boolean {
  const { state, now } = turn;
  if (state.record === null) {
    if (state.reading === null && now - state.readFailedAt > state.config.timings.heartbeatMs) readRecord(turn);
    return false;
  }
  if (state.record.value !== null || state.identity === undefined || state.server === null) return false;
  if (state.identifying || state.persisting !== null || state.job !== null || state.swap !== null || now < state.jobRetryAt)
    return false;
  const { identity } = state;
  if (identity === null) {
    if (state.server.state !== 'absent' || leavesItToAnother(turn)) return false;
    return identify(turn, null);
  }
  if (identity.by !== state.self.name) {
    const patient = now - state.identitySeenAt < TAKE_OVER_LEASES * state.config.timings.leaseMs;
    const alive = state.members[identity.by] !== undefined;
    if (identity.systemIdentifier !== null || patient || alive || state.server.state !== 'absent') return false;
    return identify(turn, null);
  }
  if (state.promise < 1) {
    turn.persist(1);
    return true;
  }
  if (identity.systemIdentifier === null && state.madeSystem !== null) return identify(turn, state.madeSystem);
  if (identity.systemIdentifier === null) {
    turn.say('bootstrap', 'makes the first server of the cluster');
    turn.run({ kind: 'bootstrap' });
    return true;
  }
  swapRecord(turn, firstRecord(turn), true);
  return true;
}

/** So that people find the first primary where they look for it: the first by name, when all start together. */
function leavesItToAnother(turn: Turn): boolean {
  const { state, now } = turn;
  if (now - state.startedAt < GATHERING_MS) return true;
  const before = Object.keys(state.members).some((name) => name < state.self.name);
  return before && now - state.startedAt < PATIENCE_MS;
}

function firstRecord(turn: Turn): LeaderRecord {
  const { state } = turn;
  return {
    epoch: 1,
    member: state.self.name,
    incarnation: state.incarnation,
    timeline: 1,
    sync: [],
    k: 0,
    eligible: [state.self.name],
    since: state.wall,
    cause: 'bootstrap',
    evidence: {},
    renewal: 0,
  };
}

function identify(turn: Turn, systemIdentifier: string | null): boolean {
  const { state } = turn;
  state.identifying = true;
  const expected = state.identity ?? null;
  turn.do({ kind: 'identify', expected, identity: { systemIdentifier, by: state.self.name } });
  return true;
}
