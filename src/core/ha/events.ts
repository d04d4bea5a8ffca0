import type { Epoch, HistoryEntry, LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation, MemberName, MemberRecord } from '#domain/member.ts';
import type { JobResult, ServerView } from '#domain/server.ts';
import type { HaConfig } from './config.ts';
import type { Message } from './messages.ts';

/** What a person asked for; it ends in one `answer` effect with the same id. */
export type Command =
  | { readonly kind: 'switchover'; readonly id: string; readonly to?: MemberName }
  /** Like a switchover while the leader answers; else an election at once. With `allowDataLoss` this member claims with k = 0. */
  | { readonly kind: 'failover'; readonly id: string; readonly allowDataLoss: boolean }
  | { readonly kind: 'restart'; readonly id: string }
  | { readonly kind: 'reinit'; readonly id: string }
  /** The program is asked to end: a leader hands over first when somebody can take over, then the server is stopped. */
  | { readonly kind: 'shutdown'; readonly id: string; readonly handOver: boolean };

/** Everything that can happen to an agent. The program turns the world into these and nothing else. */
export type HaEvent =
  /** At least every half heartbeat. `wall`: ISO time, only for records that people read. */
  | { readonly kind: 'tick'; readonly wall: string }
  | { readonly kind: 'configured'; readonly config: HaConfig }
  /** All members whose records have not expired. */
  | { readonly kind: 'members'; readonly members: readonly MemberRecord[] }
  /** All members of whom a person said that they are gone for good, and whose records are not there. */
  | { readonly kind: 'left'; readonly names: readonly MemberName[] }
  /** The `leader` record as read or watched. `askedAt`: when the read was sent; absent for a watched change, which proves no freshness. */
  | {
      readonly kind: 'record';
      readonly record: LeaderRecord | null;
      readonly version: number;
      readonly askedAt?: number;
    }
  | { readonly kind: 'readFailed' }
  /** The answer to `swap`. `unknown`: no answer; it may have happened. A conflict brings what stands there. */
  | { readonly kind: 'swapped'; readonly id: number; readonly outcome: 'done'; readonly version: number }
  | {
      readonly kind: 'swapped';
      readonly id: number;
      readonly outcome: 'conflict';
      readonly record: LeaderRecord | null;
      readonly version: number;
    }
  | { readonly kind: 'swapped'; readonly id: number; readonly outcome: 'unknown' }
  | { readonly kind: 'history'; readonly entries: readonly HistoryEntry[] }
  /** `identity` as it stands: null before anybody has bootstrapped. */
  | { readonly kind: 'identity'; readonly identity: Identity | null }
  /** The answer to `persist`: it is on disk, or it is not. */
  | { readonly kind: 'persisted'; readonly promise: Epoch; readonly incarnation: Incarnation }
  | { readonly kind: 'persistFailed'; readonly why: string }
  | { readonly kind: 'received'; readonly from: MemberName; readonly message: Message }
  | { readonly kind: 'observed'; readonly server: ServerView }
  /** The server process ended; seen in milliseconds. */
  | { readonly kind: 'serverEnded' }
  | { readonly kind: 'jobDone'; readonly id: number; readonly result: JobResult }
  /** A line of progress of the running job, for people. */
  | { readonly kind: 'progress'; readonly text: string }
  /** null: writes, the disk and new connections answer again. */
  | { readonly kind: 'canary'; readonly stuck: string | null }
  /** `deadline`: what a guard that was found holds from an earlier run (monotonic ms); null: none, or it is new. */
  | { readonly kind: 'guard'; readonly alive: boolean; readonly deadline: number | null }
  | { readonly kind: 'command'; readonly command: Command };

export interface Identity {
  /** null while `by` is still at it. */
  readonly systemIdentifier: string | null;
  readonly by: MemberName;
}
