import { type Lsn, parseLsn } from '#domain/lsn.ts';
import type { Timeline } from '#domain/position.ts';
import type { Session } from './session.ts';
import type { WalSizes } from './wal-layout.ts';

/** One look at a running server, as one statement: a look costs one round trip and no fork. */
export interface Look {
  readonly inRecovery: boolean;
  readonly insert: Lsn;
  readonly flushed: Lsn;
  /** Of a primary. */
  readonly timeline: Timeline;
  /** Null: no WAL was received since the start. */
  readonly received: Lsn | null;
  readonly replayed: Lsn;
  /** The newest timeline that has a segment in pg_wal. */
  readonly walTimeline: Timeline;
  /** Histories in pg_wal, placeholders included. */
  readonly histories: readonly Timeline[];
  readonly receiver: { readonly status: string; readonly heardAt: string; readonly silentMs: number } | null;
  readonly pause: string;
  /** What the startup process waits for. */
  readonly startupWait: string;
  readonly senders: readonly Sender[];
  /** The names that ALTER SYSTEM has set. */
  readonly altered: string;
  readonly version: number;
  readonly walSizes: WalSizes;
  /** `max_connections`, and how many of them are not for ordinary roles. */
  readonly maxConnections: number;
  readonly reservedConnections: number;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Of the last transaction that was replayed; null when none was. */
  readonly replayedAtMs: number | null;
}

export interface Sender {
  readonly pid: number;
  readonly name: string;
  readonly state: string;
  /** Null before its first answer. */
  readonly flushed: Lsn | null;
  readonly replayed: Lsn | null;
  /** The standby's clock when it answered last: only whether it changes counts. */
  readonly repliedAt: string;
  readonly user: string;
  readonly address: string | null;
  readonly syncState: string;
  readonly syncPriority: number;
}

const TEXT = `
SELECT r AS recovery,
  CASE WHEN r THEN NULL ELSE pg_current_wal_insert_lsn()::text END AS insert,
  CASE WHEN r THEN NULL ELSE pg_current_wal_flush_lsn()::text END AS flushed,
  CASE WHEN r THEN NULL ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
  CASE WHEN r THEN pg_last_wal_receive_lsn()::text END AS received,
  CASE WHEN r THEN pg_last_wal_replay_lsn()::text END AS replayed,
  CASE WHEN r THEN pg_get_wal_replay_pause_state() END AS pause,
  CASE WHEN r THEN (SELECT a.wait_event FROM pg_stat_activity a WHERE a.backend_type = 'startup' LIMIT 1) END AS startup_wait,
  w.wal_timeline, w.histories,
  CASE WHEN r THEN (SELECT json_build_array(status, last_msg_receipt_time,
    extract(epoch FROM clock_timestamp() - last_msg_receipt_time) * 1000) FROM pg_stat_wal_receiver) END AS receiver,
  current_setting('server_version_num')::int AS version,
  pg_size_bytes(current_setting('wal_segment_size'))::int AS segment_bytes, current_setting('wal_block_size')::int AS block_bytes,
  current_setting('max_connections')::int AS max_connections,
  current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int
    AS reserved_connections,
  extract(epoch FROM pg_postmaster_start_time())::float8 * 1000 AS started_at,
  CASE WHEN r THEN extract(epoch FROM pg_last_xact_replay_timestamp())::float8 * 1000 END AS replayed_at,
  (SELECT json_agg(json_build_array(pid, application_name, state, flush_lsn, replay_lsn, reply_time,
    usename, host(client_addr), sync_state, sync_priority)) FROM pg_stat_replication
    WHERE state <> 'backup' AND application_name <> 'pg_basebackup') AS senders,
  pg_read_file('postgresql.auto.conf', 0, 65536, true) AS altered
FROM pg_is_in_recovery() AS r,
  (SELECT max(left(name, 8)) FILTER (WHERE name ~ '^[0-9A-F]{24}$') AS wal_timeline,
    string_agg(left(name, 8), ' ') FILTER (WHERE name ~ '^[0-9A-F]{8}\\.history$') AS histories
    FROM pg_ls_dir('pg_wal') AS name) AS w`;

interface Row {
  readonly recovery: boolean;
  readonly insert: string | null;
  readonly flushed: string | null;
  readonly timeline: string | null;
  readonly received: string | null;
  readonly replayed: string | null;
  readonly pause: string | null;
  readonly startup_wait: string | null;
  readonly wal_timeline: string | null;
  readonly histories: string | null;
  readonly receiver: readonly [string, string | null, number | null] | null;
  readonly version: number;
  readonly segment_bytes: number;
  readonly block_bytes: number;
  readonly max_connections: number;
  readonly reserved_connections: number;
  readonly started_at: number;
  readonly replayed_at: number | null;
  readonly senders: readonly SenderFields[] | null;
  readonly altered: string | null;
}

type SenderFields = readonly [
  pid: number,
  name: string,
  state: string,
  flushed: string | null,
  replayed: string | null,
  repliedAt: string | null,
  user: string | null,
  address: string | null,
  syncState: string | null,
  syncPriority: number | null,
];

export async function look(session: Session, timeoutMs: number): Promise<Look> {
  const ask = () => session.query<Row>(TEXT, [], { timeoutMs, prepared: 'look' });
  const [row] = await ask().catch((error: { readonly code?: unknown }) => {
    // Recovery has ended between the question whether it goes on and those that are for it alone: by now it is over.
    if (error.code === '55000') return ask();
    throw error;
  });
  if (row === undefined) throw new Error('the server answered without a row');
  const [status, heardAt, silentMs] = row.receiver ?? [];
  return {
    inRecovery: row.recovery,
    insert: lsn(row.insert) ?? 0n,
    flushed: lsn(row.flushed) ?? 0n,
    timeline: fromHex(row.timeline),
    received: lsn(row.received),
    replayed: lsn(row.replayed) ?? 0n,
    walTimeline: fromHex(row.wal_timeline),
    histories: (row.histories ?? '').split(' ').filter(Boolean).map(fromHex),
    receiver: status === undefined ? null : { status, heardAt: heardAt ?? '', silentMs: silentMs ?? 0 },
    pause: row.pause ?? '',
    startupWait: row.startup_wait ?? '',
    senders: (row.senders ?? []).map(senderOf),
    version: row.version,
    walSizes: { segmentBytes: row.segment_bytes, blockBytes: row.block_bytes },
    maxConnections: row.max_connections,
    reservedConnections: row.reserved_connections,
    startedAtMs: row.started_at,
    replayedAtMs: row.replayed_at,
    altered: row.altered ?? '',
  };
}

function senderOf(fields: SenderFields): Sender {
  const [pid, name, state, flushed, replayed, repliedAt, user, address, syncState, syncPriority] = fields;
  return {
    pid,
    name,
    state,
    flushed: lsn(flushed),
    replayed: lsn(replayed),
    repliedAt: repliedAt ?? '',
    user: user ?? '',
    address,
    syncState: syncState ?? '',
    syncPriority: syncPriority ?? 0,
  };
}

function lsn(text: string | null): Lsn | null {
  return text === null ? null : (parseLsn(text) ?? null);
}

function fromHex(text: string | null): number {
  return text === null ? 0 : Number.parseInt(text, 16);
}
