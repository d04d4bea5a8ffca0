import type { LeaderRecord } from '#domain/leader-record.ts';
import type { LogSummary, MemberName } from '#domain/member.ts';
import type { Position } from '#domain/position.ts';
import { quorumMeets } from './quorum.ts';
import type { Turn } from './turn.ts';

export interface Ballot {
  readonly name: MemberName;
  readonly log: LogSummary;
}

export type Verdict =
  | { readonly kind: 'lead'; readonly votes: readonly Ballot[]; readonly by: 'leader' | 'quorum' | 'lease' }
  /** The promises suffice, but only together with someone who is further. */
  | { readonly kind: 'fetch'; readonly from: Ballot; readonly until: Position }
  | { readonly kind: 'insufficient'; readonly why: string };

/**
 * Step 4: may the candidate lead, on the record as now read and the promises V (itself among them)? Promises of members that are
 * further than the candidate count only after it has their WAL; without them, V must suffice by itself.
 */
export function judge(turn: Turn, record: LeaderRecord, own: Ballot, promises: readonly Ballot[]): Verdict {
  const all = [own, ...promises];
  const ahead = promises.filter((ballot) => turn.compare(ballot.log.position, own.log.position) > 0);
  const behind = turn.applies('highestInV') ? all.filter((ballot) => !ahead.includes(ballot)) : all;
  const reached = suffices(turn, record, behind);
  if (reached !== null) return { kind: 'lead', votes: behind, by: reached };
  if (ahead.length > 0 && suffices(turn, record, all) !== null) {
    const highest = ahead.reduce((a, b) => (turn.compare(b.log.position, a.log.position) > 0 ? b : a));
    return { kind: 'fetch', from: highest, until: highest.log.position };
  }
  return { kind: 'insufficient', why: shortfall(record, all) };
}

function suffices(turn: Turn, record: LeaderRecord, votes: readonly Ballot[]): 'leader' | 'quorum' | 'lease' | null {
  const incarnations = votes.map((ballot) => ballot.log.incarnation);
  if (votes.some((ballot) => ballot.name === record.member && ballot.log.incarnation === record.incarnation)) return 'leader';
  if (record.k >= 1) return turn.must('quorum', quorumMeets(incarnations, record)) ? 'quorum' : null;
  // `eligible` tells an asynchronous leader from one that recorded itself as alone: only the former renews a lease.
  if (turn.state.config.durability === 'async' && record.eligible.includes(turn.state.self.name))
    return leaseRanOut(turn) ? 'lease' : null;
  return turn.must('degradedStays', false) ? 'quorum' : null;
}

/** Asynchronous mode: nothing fences the old leader but its own lease, judged by how long the record has stood unrenewed here. */
function leaseRanOut(turn: Turn): boolean {
  const { record, config } = turn.state;
  if (record === null) return false;
  return turn.must('leaseBeforeClaim', turn.now - record.seenAt > config.timings.leaseMs);
}

function shortfall(record: LeaderRecord, votes: readonly Ballot[]): string {
  if (record.k === 0) return `no standby was recorded as safe (k = 0); needs the promise of ${record.member}, or a person`;
  const have = votes.filter((ballot) => record.sync.includes(ballot.log.incarnation)).length;
  const need = record.sync.length - record.k + 1;
  return `${have} of the ${need} promises needed from the sync set {${record.sync.join(', ')}}, k = ${record.k}`;
}
