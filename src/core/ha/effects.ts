import type { Divergence, Epoch, HistoryEntry, LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation, MemberName, MemberState } from '#domain/member.ts';
import type { Position } from '#domain/position.ts';
import type { ServerJob } from '#domain/server.ts';
import type { Identity } from './events.ts';
import type { Message } from './messages.ts';

/**
 * What the program has to do. It carries the effects of one step out in their order: it starts the next one when the one before
 * has been started, except `persist`, which must be finished (and its `persisted` fed in) before anything behind it begins. Only what
 * ends a server, `guard` and a `stop`, never waits behind a disk that does not answer.
 * Answers come back as events. The program decides nothing: an effect that cannot be carried out comes back as its failure.
 */
export type Effect =
  /** Write promise and incarnation to disk and sync file and folder. Answered by `persisted` or `persistFailed`. */
  | { readonly kind: 'persist'; readonly promise: Epoch; readonly incarnation: Incarnation }
  /** Best effort; may be lost, late, or repeated by the sender. */
  | { readonly kind: 'send'; readonly to: MemberName; readonly message: Message }
  /** Read `leader` from the store (linearizable). Answered by `record` with `askedAt`, or `readFailed` within 1 s. */
  | { readonly kind: 'read' }
  /** Compare-and-set of `leader`. Answered by `swapped`. `durable` false for a renewal. */
  | {
      readonly kind: 'swap';
      readonly id: number;
      readonly expected: number | null;
      readonly record: LeaderRecord;
      readonly durable: boolean;
    }
  /** Compare-and-set of `identity` from what was seen to this. Answered by `identity`. */
  | { readonly kind: 'identify'; readonly expected: Identity | null; readonly identity: Identity }
  | { readonly kind: 'appendHistory'; readonly entry: HistoryEntry }
  /** Look at the server. Answered by `observed`. */
  | { readonly kind: 'observe' }
  /** Answered by `jobDone` with the same id. */
  | { readonly kind: 'job'; readonly id: number; readonly job: ServerJob }
  /** The guard ends the server at this time (monotonic ms); null: it holds no deadline. */
  | { readonly kind: 'guard'; readonly deadline: number | null }
  /** Publish `members/<self>` with this state, position and reason. */
  | { readonly kind: 'publish'; readonly state: MemberState; readonly position: Position; readonly reason: string }
  | { readonly kind: 'reportDivergence'; readonly divergence: Divergence }
  | { readonly kind: 'answer'; readonly id: string; readonly ok: boolean; readonly text: string }
  /** After `shutdown`: everything is stopped; the program may end. */
  | { readonly kind: 'exit' };

/** Why, with the id of the rule (H1…H13, or a step's name) and a sentence for logs and `explain`. */
export interface Because {
  readonly rule: string;
  readonly text: string;
}
