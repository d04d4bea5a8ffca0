import type { Lineage, Position } from './position.ts';

/** The name of a member: one agent and its one PostgreSQL. Lower-case letters, digits and dashes. */
export type MemberName = string;

/**
 * One continuous life of a member's write-ahead log: `name_random`, lower case. A member takes a new one whenever it gives up
 * WAL that it had flushed, so that old confirmations never count for the new log. It is its `application_name` and its slot.
 */
export type Incarnation = string;

export interface Tags {
  /** Never leads. */
  readonly nofailover: boolean;
  /** Higher is preferred among members that are equally far. 0 to 100. */
  readonly priority: number;
  /** Never in the sync set. */
  readonly nosync: boolean;
  /** Others prefer to clone from this member. */
  readonly clonefrom: boolean;
}

export const DEFAULT_TAGS: Tags = { nofailover: false, priority: 50, nosync: false, clonefrom: false };

/** What a member publishes about itself; it expires unless renewed. */
export interface MemberRecord {
  readonly name: MemberName;
  readonly incarnation: Incarnation;
  /** `host:port` of the agent's API. */
  readonly api: string;
  /** Where its PostgreSQL listens. */
  readonly host: string;
  readonly port: number;
  readonly tags: Tags;
  readonly versions: { readonly matriarch: string; readonly postgres: string };
  /** The highest format of records that its agent reads. Absent: the first. */
  readonly reads?: number;
  readonly state: MemberState;
  readonly position: Position;
  /** Why the member is what it is, in one sentence, with the ids of the rules behind it. */
  readonly reason: string;
}

export const MEMBER_STATES = [
  'empty',
  'bootstrapping',
  'cloning',
  'rewinding',
  'stopped',
  'starting',
  'standby',
  'streaming',
  'electing',
  'promoting',
  'gated',
  'primary',
  'stopping',
  'failed',
] as const;
export type MemberState = (typeof MEMBER_STATES)[number];

/** What a member says of its log when it promises: enough to judge who leads and how another one can follow. */
export interface LogSummary {
  readonly incarnation: Incarnation;
  readonly position: Position;
  readonly lineage: Lineage;
}
