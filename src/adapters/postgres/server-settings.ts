import { OWNED_PARAMETERS } from '#domain/config/owned-parameters.ts';
import type { Layout } from './layout.ts';
import type { PostgresOptions } from './postgres-options.ts';
import { formatSettings } from './settings-file.ts';

/** What the cluster's parameters may override. */
const DEFAULTS: Readonly<Record<string, string>> = {
  wal_level: 'replica',
  synchronous_commit: 'on',
  max_connections: '100',
  superuser_reserved_connections: '5',
  shared_buffers: '128MB',
  max_wal_senders: '16',
  max_replication_slots: '16',
  // For a member that has no slot yet: between the end of its clone and its first connection, and for one that fetches.
  wal_keep_size: '256MB',
  // A member that is away for long is cloned again; it does not fill the leader's disk.
  max_slot_wal_keep_size: '2GB',
  wal_retrieve_retry_interval: '100ms',
  // A walsender speaks at half of this when it has nothing to send: a live idle leader is heard at least every 1.25 s.
  wal_sender_timeout: '2500ms',
  wal_receiver_timeout: '5s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] %q%u@%d ',
  lc_messages: 'C',
  datestyle: 'iso, mdy',
  default_text_search_config: 'pg_catalog.english',
};

/** What ALTER SYSTEM must not override, besides the parameters that Matriarch owns by its configuration. */
export const PROTECTED_PARAMETERS: ReadonlySet<string> = new Set([...Object.keys(OWNED_PARAMETERS), 'restart_after_crash']);

/**
 * The whole configuration but for the part that changes with the member's role. `data/postgresql.conf` includes it and holds nothing
 * else, so that a server that a person starts by hand runs with the same gate and the same sync set.
 */
export function serverSettings(options: PostgresOptions, layout: Layout, parameters: Readonly<Record<string, string>>): string {
  const owned: Readonly<Record<string, string>> = {
    // `*` is what PostgreSQL calls every address of either family; `0.0.0.0` is of one.
    listen_addresses: options.listen ?? options.host,
    port: String(options.port),
    unix_socket_directories: layout.socketDir,
    unix_socket_permissions: '0700',
    hba_file: layout.accessFile,
    ident_file: layout.identFile,
    ssl: 'on',
    ssl_ca_file: layout.clientCaFile,
    ssl_cert_file: layout.certFile,
    ssl_key_file: layout.keyFile,
    password_encryption: 'scram-sha-256',
    hot_standby: 'on',
    wal_log_hints: 'on',
    // A crashed server is restarted by a decision of the agent, behind the gate, or not at all.
    restart_after_crash: 'off',
    recovery_target_timeline: 'latest',
    logging_collector: 'off',
    log_destination: 'stderr',
  };
  const lower = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name.toLowerCase(), value]));
  return `# Written by Matriarch: change it with "matriarch config edit".\n${formatSettings({ ...DEFAULTS, ...lower, ...owned })}`;
}

/** PostgreSQL's own `min_wal_size`, which `initdb` would raise in the file that ours takes the place of. */
const MIN_WAL_BYTES = 80 * 2 ** 20;

/** The content of `data/postgresql.conf`. A server whose segments are so large that two of them are more than it is to keep does not start. */
export function entryFile(layout: Layout, segmentBytes: number): string {
  const include = (path: string) => `include '${path.replaceAll("'", "''")}'\n`;
  const least = 2 * segmentBytes;
  const keep = least > MIN_WAL_BYTES ? `min_wal_size = '${least / 2 ** 20}MB'\n` : '';
  return `# Written by Matriarch. The settings are in the files that it includes.\n${keep}${include(layout.serverConf)}${include(layout.roleConf)}`;
}
