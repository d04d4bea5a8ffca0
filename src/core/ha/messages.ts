import type { Epoch } from '#domain/leader-record.ts';
import type { Incarnation, LogSummary, MemberName } from '#domain/member.ts';
import type { Lineage, Position } from '#domain/position.ts';

/** Leader to everyone, every `heartbeatMs`. */
export interface Heartbeat {
  readonly kind: 'heartbeat';
  readonly epoch: Epoch;
  readonly run: string;
  /** The sender's clock when it was sent; the answer repeats it, and counts from then. */
  readonly sentAt: number;
  readonly fenceMs: number;
  /** Where followers connect to; null until the server is promoted and has members to admit. */
  readonly server: { readonly host: string; readonly port: number } | null;
  readonly position: Position;
  readonly lineage: Lineage;
  /** Its first checkpoint on its timeline is done, so a rewind against it is sound (H9). */
  readonly checkpointed: boolean;
}

/** "I have promised nothing higher than `epoch`", counted from `sentAt`. `promised` above `epoch` says the opposite. */
export interface Alive {
  readonly kind: 'alive';
  readonly epoch: Epoch;
  readonly run: string;
  readonly sentAt: number;
  readonly promised: Epoch;
  readonly incarnation: Incarnation;
  readonly position: Position;
}

/** The sender led `epoch`; its server and all backends are gone and it promises not to start them again in that epoch. */
export interface GaveUp {
  readonly kind: 'gaveUp';
  readonly epoch: Epoch;
}

/** Without any effect: would you promise, and where are you? */
export interface Ask {
  readonly kind: 'ask';
  readonly id: string;
  readonly epoch: Epoch;
}
export interface Would {
  readonly kind: 'would';
  readonly id: string;
  readonly willing: boolean;
  readonly why: string;
  readonly promised: Epoch;
  readonly incarnation: Incarnation;
  readonly position: Position;
  /** Could it lead itself (in `eligible`, not barred by a tag, server in order)? */
  readonly mayLead: boolean;
  readonly priority: number;
}

export interface PromiseRequest {
  readonly kind: 'promise';
  readonly id: string;
  readonly epoch: Epoch;
  /** A person allowed loss: promise although the leader is not silent. */
  readonly forced: boolean;
}
export interface Promised {
  readonly kind: 'promised';
  readonly id: string;
  readonly epoch: Epoch;
  readonly log: LogSummary;
}
export interface Refused {
  readonly kind: 'refused';
  readonly id: string;
  readonly epoch: Epoch;
  readonly promised: Epoch;
  readonly why: string;
}

/** Old leader to the target of a switchover: its promise of `epoch`, and the end of its WAL. */
export interface Handover {
  readonly kind: 'handover';
  readonly epoch: Epoch;
  readonly log: LogSummary;
}

/** "Record me out of S: I am about to give up WAL." The sender does not stream before the answer. */
export interface Forget {
  readonly kind: 'forget';
  readonly incarnation: Incarnation;
  readonly nonce: string;
}
/** The leader of `epoch` has recorded it out of S, PostgreSQL runs without it, and it is never added again. */
export interface Forgotten {
  readonly kind: 'forgotten';
  readonly incarnation: Incarnation;
  readonly nonce: string;
  readonly epoch: Epoch;
}

export type Message =
  | Heartbeat
  | Alive
  | GaveUp
  | Ask
  | Would
  | PromiseRequest
  | Promised
  | Refused
  | Handover
  | Forget
  | Forgotten;

export interface Envelope {
  readonly from: MemberName;
  readonly to: MemberName;
  readonly message: Message;
}
