import type { Incarnation, MemberName } from './member.ts';
import type { Lineage, Position, Timeline } from './position.ts';

/** A number that only grows; every claim and re-claim takes a higher one. Gaps are normal. */
export type Epoch = number;

/** `synchronous_standby_names = 'ANY k (sync)'`. k = 0 means that nobody's confirmation is waited for. */
export interface SyncSetting {
  readonly sync: readonly Incarnation[];
  readonly k: number;
}

export const LEADER_CAUSES = ['bootstrap', 'failover', 'switchover', 'reclaim', 'lease', 'forced'] as const;
export type LeaderCause = (typeof LEADER_CAUSES)[number];

/**
 * Who leads and what is durable, in one object under one version: a claim is judged on exactly the (S, k) that it replaces.
 * (With two objects a candidate judged an old (S, k) while the leader weakened it, and lost a write.)
 */
export interface LeaderRecord extends SyncSetting {
  readonly epoch: Epoch;
  readonly member: MemberName;
  readonly incarnation: Incarnation;
  /** Reserved by the claim, never used by anybody else. */
  readonly timeline: Timeline;
  /** Set while k was lowered to 0 because too few standbys were left: from here on WAL may exist on the leader alone. */
  readonly degradedSince?: { readonly lsn: string; readonly at: string };
  /** Who may lead next. */
  readonly eligible: readonly MemberName[];
  /** ISO time of the claim, for people. */
  readonly since: string;
  readonly cause: LeaderCause;
  /** The promises that justified the claim: member name to position, as text, for people. */
  readonly evidence: Readonly<Record<MemberName, string>>;
  /** Counts the renewals of the lease (k = 0 only). The record stands unrenewed while neither it nor the version changes. */
  readonly renewal: number;
}

/** One entry a claim, appended after the winner has promoted. */
export interface HistoryEntry {
  readonly epoch: Epoch;
  readonly member: MemberName;
  readonly timeline: Timeline;
  /** The ancestors of `timeline`: the parent and the switch LSN are its last entry. */
  readonly lineage: Lineage;
  readonly cause: LeaderCause;
  readonly at: string;
  readonly evidence: Readonly<Record<MemberName, string>>;
  /** What a forced failover gave up, when it did. */
  readonly lost?: string;
}

/** WAL that a rejoining member gave up (H9). */
export interface Divergence {
  readonly member: MemberName;
  readonly incarnation: Incarnation;
  readonly from: Position;
  readonly to: Position;
  readonly method: 'rewind' | 'clone';
}
