import type { SyncSetting } from './leader-record.ts';
import type { Lsn } from './lsn.ts';
import type { Incarnation, MemberName } from './member.ts';
import type { Lineage, Position, Timeline } from './position.ts';

/** A walsender of the primary, by `pg_stat_replication`. */
export interface Follower {
  readonly incarnation: Incarnation;
  readonly streaming: boolean;
  /** Confirmed over the connection that is open now. */
  readonly flushed: Lsn;
  readonly replayed: Lsn;
  /** How long ago it last answered, in milliseconds. */
  readonly silentMs: number;
}

/** A row of `pg_stat_replication`, as people's tools show it. */
export interface SenderRow {
  readonly user: string;
  readonly application: string;
  /** Null: by the Unix socket. */
  readonly address: string | null;
  readonly state: string;
  readonly syncState: string;
  readonly syncPriority: number;
}

/** What people and their tools ask of a running server; no decision depends on it. */
export interface ServerNotes {
  /** `server_version_num`, such as 150014. */
  readonly version: number;
  /** `max_connections`, and how many of them are kept from ordinary roles. Absent: not asked. */
  readonly maxConnections?: number;
  readonly reservedConnections?: number;
  /** When the postmaster was started, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** The commit time of the last transaction that was replayed, in milliseconds since 1970; null when none was. */
  readonly replayedAtMs: number | null;
  /** `pg_get_wal_replay_pause_state` of a standby. */
  readonly replayPaused: boolean;
  readonly senders: readonly SenderRow[];
}

/** What a look at the server shows. */
export type ServerView =
  /** No data directory, or one whose making was not finished. */
  | { readonly state: 'absent' }
  /** Nobody runs. `wasPrimary`: no standby.signal, so starting it as it is would make a primary. */
  | {
      readonly state: 'stopped';
      readonly position: Position;
      readonly lineage: Lineage;
      readonly clean: boolean;
      readonly wasPrimary: boolean;
      /** WAL that a start has to replay, in bytes. */
      readonly redoBytes: number;
      /** Of the cluster that the directory belongs to. */
      readonly systemIdentifier?: string;
    }
  /** The postmaster runs and does not answer queries yet. */
  | { readonly state: 'starting' }
  | {
      readonly state: 'standby';
      /** The greater of receive and replay. */
      readonly position: Position;
      readonly replayed: Lsn;
      readonly lineage: Lineage;
      readonly streaming: boolean;
      /** How long ago the walreceiver last heard from its upstream, in milliseconds; Infinity without one. */
      readonly upstreamSilentMs: number;
      /** Why replay does not advance, when it does not (H11): paused, delayed, conflict, missing WAL. */
      readonly stalled?: string;
      readonly notes?: ServerNotes;
    }
  | {
      readonly state: 'primary';
      /** Timeline and WAL insert position. */
      readonly position: Position;
      readonly lineage: Lineage;
      readonly followers: readonly Follower[];
      /** The setting in PostgreSQL's files; 'foreign' when it is none that an agent wrote. */
      readonly setting: SyncSetting | 'foreign';
      readonly gateOpen: boolean;
      readonly notes?: ServerNotes;
    }
  /** It runs and does not answer within the deadline: frozen, or its disk is. */
  | { readonly state: 'stuck'; readonly why: string };

/** Where a follower connects. `name` is its own incarnation: application_name and slot. */
export interface Upstream {
  readonly member: MemberName;
  readonly host: string;
  readonly port: number;
  readonly name: Incarnation;
}

/**
 * Work on the server. One at a time, except `checkpoint`, which runs beside the others, and `stop`, which cancels what runs.
 * Each ends in one `jobDone`. Each has a deadline in the adapter: a job on a frozen server fails, it never hangs.
 */
export type ServerJob =
  /**
   * initdb, roles, start as primary with the gate closed and `ANY 1 (matriarch_none)`. Again after it was interrupted or done: an
   * unfinished directory is replaced, a finished one is started and told.
   */
  | { readonly kind: 'bootstrap' }
  /** pg_basebackup from `upstream` into a new data directory that replaces the old one, which is kept until it succeeded. */
  | { readonly kind: 'clone'; readonly upstream: Upstream }
  /** pg_rewind against `upstream`; what is given up is kept aside. The server is stopped before and after. */
  | { readonly kind: 'rewind'; readonly upstream: Upstream }
  /** Start as a primary on the timeline it has (a standby.signal is removed), with the gate closed and `ANY 1 (matriarch_none)`. */
  | { readonly kind: 'startPrimary' }
  /** Start as a standby; with null it follows nobody and can connect to nobody. Ends when it answers queries. */
  | { readonly kind: 'startStandby'; readonly upstream: Upstream | null }
  /** The running standby streams from `upstream` from now on. Ends when the settings are in force. */
  | { readonly kind: 'follow'; readonly upstream: Upstream }
  /**
   * Step 3 (b) to (d): password file, settings, SIGTERM by pid, no walreceiver process, then the position. On a stopped server: the
   * files, then the position by scanning its WAL. Never called on a primary.
   */
  | { readonly kind: 'detach' }
  /** Detached and stronger ones exist in V: stream from `upstream` up to `until`, then end detached again, with the position. */
  | { readonly kind: 'fetch'; readonly upstream: Upstream; readonly until: Position }
  /** Placeholder histories, gate closed, promote exactly to `timeline`; another number stops the server and fails. */
  | { readonly kind: 'promote'; readonly timeline: Timeline }
  /**
   * Make PostgreSQL run `setting`; ends only when it is in force (see the adapter). k = 0 runs the empty setting, or with `wait`
   * `ANY 1 (matriarch_none)`: nobody is recorded and commits wait all the same.
   */
  | { readonly kind: 'setSync'; readonly setting: SyncSetting; readonly wait: boolean }
  /** Slots for exactly these incarnations. */
  | { readonly kind: 'slots'; readonly keep: readonly Incarnation[] }
  /** Let clients in, or keep them out; `cut` also ends those that are in. */
  | { readonly kind: 'gate'; readonly open: boolean; readonly cut: boolean }
  /** Wait until every transaction that is open now has ended, at most so long. */
  | { readonly kind: 'drain'; readonly timeoutMs: number }
  | { readonly kind: 'checkpoint' }
  /** Ends when the server and every backend are gone. `fast` turns into `kill` after `stopTimeoutMs`. */
  | { readonly kind: 'stop'; readonly mode: 'fast' | 'kill' };

export type JobResult =
  | {
      readonly ok: true;
      /** After bootstrap, detach, fetch, promote, startPrimary and a fast stop. */
      readonly log?: { readonly position: Position; readonly lineage: Lineage };
      /** After `rewind` and `clone`: the range that was given up. */
      readonly gaveUp?: { readonly from: Position; readonly to: Position };
      /** After `bootstrap`. */
      readonly systemIdentifier?: string;
    }
  | { readonly ok: false; readonly code: JobFailure; readonly why: string };

export type JobFailure =
  /** Try again later. */
  | 'failed'
  /** `stop` overtook it. */
  | 'cancelled'
  /** The upstream no longer has the WAL, or the histories do not join: only a clone helps. */
  | 'unusable'
  /** Another timeline number came out; the server was stopped. */
  | 'wrongTimeline'
  /** No space left on the device. */
  | 'diskFull';
