import type { LeaderRecord } from '#domain/leader-record.ts';
import type { HaState, Leader } from './state.ts';
import type { Turn } from './turn.ts';

/** A deadline is pushed to the guard again only when it has moved by this much. */
const GUARD_STEP_MS = 100;

export interface Proof {
  /** Clients are cut after this. */
  readonly serveUntil: number;
  /** The server is ended after this, by the guard if need be. */
  readonly endAt: number;
}

type Moment = { readonly state: HaState; readonly now: number };

/**
 * How long this leader may go on without news (H6). Durable: while k of S have confirmed within `fence`, nobody can gather a V
 * against it, store or no store. With fewer, a fresh read of the record still permits reads. k = 0: the lease, or without the store
 * the confirmation of everybody who might claim.
 */
export function proofOf(turn: Moment, leader: Leader, record: LeaderRecord): Proof {
  const { swap, self } = turn.state;
  const proof = proofUnder(turn, leader, record);
  if (swap === null || swap.record.member !== self.name) return proof;
  // What is being written may stand already, with other rivals and another S: the proof has to hold for both.
  const next = proofUnder(turn, leader, swap.record);
  return { serveUntil: Math.min(proof.serveUntil, next.serveUntil), endAt: Math.min(proof.endAt, next.endAt) };
}

function proofUnder(turn: Moment, leader: Leader, record: LeaderRecord): Proof {
  const { state } = turn;
  const { fenceMs, leaseMs } = state.config.timings;
  if (record.k === 0) {
    const rivals = record.eligible.filter((name) => name !== state.self.name);
    // A cluster of one: its next agent has as long to adopt the server as it would have behind a quorum.
    if (rivals.length === 0 && isAlone(state)) return { serveUntil: turn.now + fenceMs, endAt: turn.now + leaseMs };
    const confirmedAt =
      rivals.length === 0 ? turn.now : Math.min(...rivals.map((name) => state.peers[name]?.confirmedAt ?? -Infinity));
    // The claimant waits a whole lease from when it saw the renewal; the tenth is for the stopping itself.
    const byLease = leader.renewedAt + 0.9 * leaseMs;
    const until = Math.max(byLease, confirmedAt + fenceMs);
    return { serveUntil: until, endAt: until };
  }
  const confirmations = Object.values(state.peers)
    .filter((peer) => record.sync.includes(peer.incarnation))
    .map((peer) => peer.confirmedAt)
    .sort((a, b) => b - a);
  const byQuorum = confirmations[record.k - 1] ?? -Infinity;
  const byRecord = state.record !== null && state.record.value?.epoch === leader.epoch ? state.record.freshAt : -Infinity;
  const at = Math.max(byQuorum, byRecord, leader.renewedAt);
  return { serveUntil: at + fenceMs, endAt: at + leaseMs };
}

/** No other member was ever heard of. One that merely may not lead could still be made to, by a person. */
function isAlone({ self, members, peers }: HaState): boolean {
  return [...Object.keys(members), ...Object.keys(peers)].every((name) => name === self.name);
}

/** Keeps the guard's deadline where the proof is; nothing while no server of a leader runs. */
export function pushGuard(turn: Turn, deadline: number | null): void {
  const { state } = turn;
  const known = state.guardDeadline;
  if (!state.guardAlive) return;
  if (deadline === known) return;
  if (deadline !== null && known !== null && deadline > known && deadline - known < GUARD_STEP_MS) return;
  state.guardDeadline = deadline;
  turn.do({ kind: 'guard', deadline });
}
