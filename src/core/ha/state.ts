import type { Epoch, LeaderRecord, SyncSetting } from '#domain/leader-record.ts';
import type { Incarnation, LogSummary, MemberName, MemberRecord, MemberState } from '#domain/member.ts';
import type { Lineage, Position } from '#domain/position.ts';
import type { ServerJob, ServerView, Upstream } from '#domain/server.ts';
import type { HaConfig, Self } from './config.ts';
import type { Because } from './effects.ts';
import type { Command, Identity } from './events.ts';
import type { Heartbeat } from './messages.ts';

/** The `leader` record as last read or watched. */
export interface KnownRecord {
  readonly value: LeaderRecord | null;
  readonly version: number;
  /** When the read was sent whose answer confirmed this version; -Infinity when only watched. */
  readonly freshAt: number;
  /** When this version was first seen, by the own clock: the lease of an asynchronous leader is judged by it. */
  readonly seenAt: number;
}

export interface PendingSwap {
  readonly id: number;
  readonly record: LeaderRecord;
  /** The version that it replaces; null when the record is created. */
  readonly over: number | null;
  readonly sentAt: number;
  /** Since when it is known that no answer comes: nothing is decided on the record until it has been settled. */
  readonly unknownAt: number | null;
}

/** What another member last said of itself. */
export interface Peer {
  readonly incarnation: Incarnation;
  readonly promised: Epoch;
  readonly position: Position;
  readonly heardAt: number;
  /** Sending time of the newest heartbeat of the epoch led that it confirmed; -Infinity without one. */
  readonly confirmedAt: number;
}

export interface LeaderSeen {
  readonly member: MemberName;
  readonly heartbeat: Heartbeat;
  readonly at: number;
}

export interface RunningJob {
  readonly id: number;
  readonly job: ServerJob;
  readonly startedAt: number;
}

/** A promise that somebody asked for and that is being carried out, in the order of step 3. */
export interface Grant {
  readonly from: MemberName;
  readonly id: string;
  readonly epoch: Epoch;
  readonly forced: boolean;
  readonly askedAt: number;
  /** `judging`: is the leader silent? `detaching`: promise on disk, getting rid of the walreceiver. */
  readonly stage: 'judging' | 'detaching';
}

/** The exchange before WAL is given up (H9). While it lasts the member streams from nobody. */
export interface Forgetting {
  readonly incarnation: Incarnation;
  readonly nonce: string;
  readonly sentAt: number;
  readonly done: boolean;
  readonly next: 'rewind' | 'clone';
}

export interface Answered {
  readonly willing: boolean;
  readonly why: string;
  readonly incarnation: Incarnation;
  readonly position: Position;
  readonly mayLead: boolean;
  readonly priority: number;
}

export interface Candidate {
  readonly kind: 'candidate';
  readonly id: string;
  readonly startedAt: number;
  readonly phase: 'asking' | 'promising' | 'fetching' | 'claiming';
  /** 0 while asking. */
  readonly epoch: Epoch;
  readonly cause: 'failover' | 'switchover' | 'lease' | 'forced';
  /** The command that asked for it, when a person did. */
  readonly commandId: string | null;
  readonly answers: Readonly<Record<MemberName, Answered>>;
  /** V without the candidate itself. */
  readonly promises: Readonly<Record<MemberName, LogSummary>>;
  /** Forced only: what somebody further has cannot be fetched; the person accepted its loss. */
  readonly cannotFetch: boolean;
  /** The candidate's own answer to its own request; null until detached. */
  readonly own: { readonly position: Position; readonly lineage: Lineage } | null;
}

export interface Handover {
  readonly command: Extract<Command, { kind: 'switchover' | 'shutdown' }>;
  readonly target: MemberName;
  readonly stage: 'checkpoint' | 'closing' | 'draining' | 'stopping' | 'promising' | 'waiting';
  readonly startedAt: number;
  readonly stageAt: number;
  readonly epoch: Epoch;
  readonly log: { readonly position: Position; readonly lineage: Lineage } | null;
}

export interface Leader {
  readonly kind: 'leader';
  readonly epoch: Epoch;
  /**
   * `preparing`: claimed, server not yet a primary of the claimed timeline. `gating`: promoted, clients kept out. `serving`.
   * `ended`: the server died and it is being decided who goes on. `gaveUp`: others may claim. `handover`: a switchover.
   */
  readonly phase: 'preparing' | 'gating' | 'serving' | 'ended' | 'gaveUp' | 'handover';
  readonly phaseAt: number;
  /** The end of recovery on the current timeline: what the gate waits for. */
  readonly gateAt: Position | null;
  /** What PostgreSQL runs, and when it was seen in force; null when that is not known. */
  readonly running: { readonly setting: SyncSetting; readonly wait: boolean; readonly inForceAt: number } | null;
  /** H4 ③: the insert position that the next set has to confirm, read while `running` was in force. */
  readonly confirm: Position | null;
  readonly checkpointed: boolean;
  /** Recorded out of S for good, in this epoch's life. */
  readonly forgotten: readonly Incarnation[];
  readonly forgetRequests: readonly { readonly from: MemberName; readonly incarnation: Incarnation; readonly nonce: string }[];
  /** Since when a member of S has not streamed or kept up. */
  readonly unhealthySince: Readonly<Record<Incarnation, number>>;
  /** Since when too few standbys have been healthy for k. */
  readonly shortSince: number | null;
  readonly slots: readonly Incarnation[] | null;
  readonly heartbeatAt: number;
  /** The last heartbeat named a server to follow. */
  readonly announced: boolean;
  readonly renewedAt: number;
  /** Its clients are cut, or being cut, until there is proof again. */
  readonly fenced: boolean;
  /** Its server did not answer to that: it is asked again. */
  readonly cutFailed: boolean;
  /** Failed starts in place in a row, and when the next may be tried. */
  readonly failedStarts: number;
  readonly restartAt: number;
  /** A person asked for a restart in place: no failover when the server ends. */
  readonly restarting: string | null;
  readonly handover: Handover | null;
  /** Since when the canary or the looks at the server have found it stuck. */
  readonly stuckSince: number | null;
  /** After the server ended: every process of it is gone. */
  readonly cleaned: boolean;
  /** The epoch of a re-claim under way (H10): promised first, then written. */
  readonly reclaiming: Epoch | null;
}

export interface Following {
  readonly upstream: Upstream;
  readonly epoch: Epoch;
  readonly since: number;
  /** When it was last seen streaming from there. */
  readonly streamedAt: number;
  readonly restarted: boolean;
}

export type Role = { readonly kind: 'member' } | Candidate | Leader;

export interface HaState {
  readonly self: Self;
  readonly config: HaConfig;
  readonly startedAt: number;
  /** When the last event was taken in. */
  readonly steppedAt: number;
  /** State of the pseudo-random generator for jitter, ids and incarnations. */
  readonly random: number;
  readonly nextId: number;
  /** ISO time of the last tick, for the records that people read. */
  readonly wall: string;

  /** As on disk. */
  readonly promise: Epoch;
  readonly incarnation: Incarnation;
  readonly persisting: { readonly promise: Epoch; readonly incarnation: Incarnation } | null;
  readonly persistFailedAt: number;

  readonly record: KnownRecord | null;
  readonly reading: number | null;
  readonly readFailedAt: number;
  readonly swap: PendingSwap | null;
  /** The version that this run wrote last, for certain. */
  readonly wroteVersion: number | null;
  /** undefined: not heard yet. */
  readonly identity: Identity | null | undefined;
  readonly identifying: boolean;
  /** The system identifier of the server that this run bootstrapped. */
  readonly madeSystem: string | null;
  readonly identitySeenAt: number;
  /** Who claimed a timeline, by the history. */
  readonly claims: Readonly<Record<number, MemberName>>;
  readonly members: Readonly<Record<MemberName, MemberRecord>>;
  /** Gone for good, by a person's word: they hold nothing back and count for nothing that H4 does not still count them for. */
  readonly left: readonly MemberName[];

  readonly peers: Readonly<Record<MemberName, Peer>>;
  readonly leaderSeen: LeaderSeen | null;
  /** When any heartbeat of the recorded or a later epoch last came. */
  readonly heartbeatAt: number;
  /** The highest epoch whose leader said that it gave up. */
  readonly gaveUp: Epoch;

  /** null: unknown since the last job. */
  readonly server: ServerView | null;
  readonly serverAt: number;
  readonly observing: { readonly sentAt: number; readonly discard: boolean } | null;
  readonly job: RunningJob | null;
  readonly checkpointing: number | null;
  readonly checkpointResult: 'done' | 'failed' | null;
  readonly checkpointAt: number;
  readonly guardAlive: boolean;
  readonly guardDeadline: number | null;
  readonly canaryStuck: string | null;

  readonly grant: Grant | null;
  /** After a promise to somebody: let him claim before standing oneself. */
  readonly standBackUntil: number;
  readonly standWhy: string;
  readonly following: Following | null;
  readonly forgetting: Forgetting | null;
  /** The incarnation taken for a log that is about to be cloned or rewound; nothing was confirmed under it yet. */
  readonly cloneInto: Incarnation | null;
  /** No second rewind before it has streamed: a clone instead. */
  readonly rewindTried: boolean;
  /** When the server was last restarted because it did not stream. */
  readonly restartedAt: number;
  readonly clonedAt: number;
  /** Clones since it last streamed. */
  readonly clonesInVain: number;
  /** Starts behind the leader that ended in a parted log, since it last streamed. */
  readonly partings: number;
  /** When the server last answered a look. */
  readonly unstuckAt: number;
  readonly jobRetryAt: number;
  readonly jobFailures: number;
  readonly restarting: string | null;
  readonly reinit: { readonly commandId: string | null } | null;
  readonly shutdown: { readonly id: string; readonly handOver: boolean } | null;
  readonly role: Role;

  readonly published: {
    readonly state: MemberState;
    readonly reason: string;
    readonly incarnation: Incarnation;
    readonly at: number;
  } | null;
  readonly reason: Because;
}

export interface Boot {
  readonly self: Self;
  readonly config: HaConfig;
  readonly promise: Epoch;
  readonly incarnation: Incarnation;
  /** Any 32-bit number; from a cryptographic source in programs. */
  readonly seed: number;
  readonly now: number;
  /** ISO time of the start, for records that people read before the first tick. */
  readonly wall: string;
}

export function initialState(boot: Boot): HaState {
  return {
    self: boot.self,
    config: boot.config,
    startedAt: boot.now,
    steppedAt: boot.now,
    random: boot.seed | 0,
    nextId: 1,
    wall: boot.wall,
    promise: boot.promise,
    incarnation: boot.incarnation,
    persisting: null,
    persistFailedAt: -Infinity,
    record: null,
    reading: null,
    readFailedAt: -Infinity,
    swap: null,
    wroteVersion: null,
    identity: undefined,
    identifying: false,
    madeSystem: null,
    identitySeenAt: boot.now,
    claims: {},
    members: {},
    left: [],
    peers: {},
    leaderSeen: null,
    heartbeatAt: boot.now,
    gaveUp: 0,
    server: null,
    serverAt: -Infinity,
    observing: null,
    job: null,
    checkpointing: null,
    checkpointResult: null,
    checkpointAt: -Infinity,
    guardAlive: false,
    guardDeadline: null,
    canaryStuck: null,
    grant: null,
    standBackUntil: boot.now,
    standWhy: '',
    following: null,
    forgetting: null,
    cloneInto: null,
    rewindTried: false,
    restartedAt: -Infinity,
    clonedAt: -Infinity,
    clonesInVain: 0,
    partings: 0,
    unstuckAt: boot.now,
    jobRetryAt: -Infinity,
    jobFailures: 0,
    restarting: null,
    reinit: null,
    shutdown: null,
    role: { kind: 'member' },
    published: null,
    reason: { rule: 'start', text: 'the agent has just started' },
  };
}
