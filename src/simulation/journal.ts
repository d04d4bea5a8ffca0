import type { Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import type { Message } from '#core/ha/messages.ts';
import type { Epoch, LeaderRecord } from '#domain/leader-record.ts';
import type { Incarnation, MemberName } from '#domain/member.ts';
import type { Position } from '#domain/position.ts';
import type { VirtualMember } from './member.ts';
import type { VirtualServer } from './postgres/server.ts';
import type { ReplicationConnection } from './postgres/walsender.ts';
import type { PromiseFile } from './volume.ts';
import type { Log, Row, WalRecord } from './wal.ts';

/** What happens in the world, for the checkers and the coverage. The world tells it; nobody in the world listens. */
export type Happening =
  /** A commit's record was inserted into the log of a primary. */
  | { readonly kind: 'written'; readonly server: VirtualServer; readonly record: WalRecord }
  /** SyncRep let a commit go: CommandComplete without a warning is on its way. */
  | { readonly kind: 'released'; readonly server: VirtualServer; readonly record: WalRecord }
  /** It reached the client. */
  | { readonly kind: 'acknowledged'; readonly server: VirtualServer; readonly record: WalRecord }
  /** A client received what it read from a primary that had admitted it. */
  | { readonly kind: 'read'; readonly server: VirtualServer; readonly rows: readonly Row[] }
  | { readonly kind: 'primaryOpened'; readonly server: VirtualServer }
  | { readonly kind: 'gate'; readonly server: VirtualServer; readonly open: boolean }
  | { readonly kind: 'serverEnded'; readonly server: VirtualServer }
  /** A walreceiver reached its upstream. */
  | { readonly kind: 'connected'; readonly connection: ReplicationConnection }
  | { readonly kind: 'blind'; readonly standby: VirtualServer; readonly upstream: VirtualServer }
  /** A compare-and-set of `leader` took effect. `sentAt`: by the clock of its sender. */
  | {
      readonly kind: 'recorded';
      readonly by: VirtualMember;
      readonly before: LeaderRecord | null;
      readonly after: LeaderRecord;
      readonly sentAt: number;
      /** Of the agent that sent it. */
      readonly run: string;
    }
  | { readonly kind: 'casLost'; readonly by: VirtualMember }
  | { readonly kind: 'casUnknown'; readonly by: VirtualMember; readonly happened: boolean }
  | { readonly kind: 'promised'; readonly member: VirtualMember; readonly before: PromiseFile; readonly after: PromiseFile }
  /** Flushed WAL of an incarnation is no longer on its member's disk. `fault`: the disk was lost, nobody decided it. */
  | {
      readonly kind: 'discarded';
      readonly member: VirtualMember;
      /** On disk now. */
      readonly incarnation: Incarnation;
      /** Under which the lost log had confirmed. */
      readonly incarnations: readonly Incarnation[];
      readonly log: Log;
      readonly kept: number;
      /** What was promised on the disk. */
      readonly promise: Epoch;
      readonly by: 'rewind' | 'clone' | 'fault';
    }
  | { readonly kind: 'step'; readonly member: VirtualMember; readonly event: HaEvent; readonly effects: readonly Effect[] }
  | { readonly kind: 'sent'; readonly from: VirtualMember; readonly to: MemberName; readonly message: Message }
  | { readonly kind: 'delivered'; readonly from: MemberName; readonly to: VirtualMember; readonly message: Message }
  | { readonly kind: 'jobStarted'; readonly member: VirtualMember; readonly job: string; readonly upstream: MemberName | null }
  | { readonly kind: 'jobEnded'; readonly member: VirtualMember; readonly job: string; readonly ok: boolean }
  /** An agent started and found its server running. */
  | { readonly kind: 'adopted'; readonly member: VirtualMember }
  | { readonly kind: 'guardKilled'; readonly member: VirtualMember }
  | { readonly kind: 'fault'; readonly name: string; readonly member: MemberName | null }
  | { readonly kind: 'lostWal'; readonly member: MemberName; readonly from: Position };
