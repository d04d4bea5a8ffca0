import type { MemberName, Tags } from '#domain/member.ts';
import type { Timings } from '#domain/timings.ts';

export type DurabilityMode = 'required' | 'preferred' | 'async';

/** What the decisions depend on: the cluster's dynamic configuration and this member's own tags. */
export interface HaConfig {
  readonly durability: DurabilityMode;
  /** How many standbys confirm a commit, at least 1. Ignored in `async`. */
  readonly synchronousCount: number;
  readonly timings: Timings;
  /** A standby further behind than this is not in the sync set. Bytes. */
  readonly maximumLagBytes: number;
  /** `async` only: a standby further behind the leader's last known position does not claim. Bytes. */
  readonly maximumLagOnFailoverBytes: number;
  /** No automatic failover, restart, rewind or clone. Promises, fencing and requests by people go on. */
  readonly paused: boolean;
}

/** Who this agent is; fixed for its life. */
export interface Self {
  readonly name: MemberName;
  readonly host: string;
  readonly port: number;
  readonly tags: Tags;
  /** Random, new with every start of the agent: answers to an earlier run prove nothing to this one. */
  readonly run: string;
  /** How often it publishes what it is though nothing has changed: as often as the store can bear. */
  readonly publishEveryMs: number;
}
