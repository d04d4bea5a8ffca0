import type { HistoryEntry, LeaderRecord } from './leader-record.ts';
import type { MemberRecord, MemberState } from './member.ts';

/** The certificates that a member uses. */
export interface TlsSummary {
  /** SHA-256 of the member's certificate, in hexadecimal. */
  readonly certificate: string;
  /** SHA-256 of each authority that it trusts, in order. */
  readonly authorities: readonly string[];
  /** ISO time at which the member's certificate runs out. */
  readonly expires: string;
}

/** What one agent answers to `GET /status`: itself, and the cluster as it sees it. */
export interface AgentStatus {
  readonly cluster: string;
  readonly systemIdentifier: string | null;
  readonly self: {
    readonly name: string;
    readonly incarnation: string;
    readonly state: MemberState;
    readonly role: 'primary' | 'standby' | 'none';
    readonly promise: number;
    readonly timeline: number;
    readonly lsn: string;
    readonly reason: string;
    /** ISO time at which `state` began. */
    readonly since: string;
    readonly api: string;
    readonly host: string;
    readonly port: number;
    readonly agentPid: number;
    readonly guardPid: number | null;
    readonly postgresPid: number | null;
    /** In use: by its API, its links to the others, and its PostgreSQL. */
    readonly tls: TlsSummary;
    /** Progress of a running clone or rewind, for people. */
    readonly progress: string | null;
  };
  readonly paused: boolean;
  readonly durabilityMode: 'required' | 'preferred' | 'async';
  readonly leader: LeaderRecord | null;
  readonly storeReachable: boolean;
  readonly members: readonly MemberRecord[];
  /** On the leader: one entry a connected standby. */
  readonly followers: readonly {
    readonly incarnation: string;
    readonly lagBytes: number;
    readonly lagMs: number;
    readonly streaming: boolean;
  }[];
}

/** One line of `explain`: what holds, why, and what would have to change. */
export interface ExplainLine {
  readonly rule: string;
  readonly holds: boolean;
  readonly text: string;
  readonly toChange?: string;
}
export interface Explanation {
  readonly member: string;
  readonly summary: string;
  readonly lines: readonly ExplainLine[];
  /** The last decisions, newest first. */
  readonly recent: readonly { readonly at: string; readonly rule: string; readonly text: string }[];
}

export type HistoryView = readonly HistoryEntry[];
