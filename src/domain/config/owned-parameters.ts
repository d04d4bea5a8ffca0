/**
 * PostgreSQL parameters that Matriarch sets itself, with the reason. Refused in `postgresql.parameters`: a value from a person would
 * be overwritten at best, and at worst a commit would be acknowledged that no standby holds.
 */
export const OWNED_PARAMETERS: Readonly<Record<string, string>> = {
  synchronous_standby_names: 'it is the sync set of the leader; `durability` governs it',
  primary_conninfo: 'it follows the leader',
  primary_slot_name: 'it is the incarnation of the member',
  restore_command: 'it passes only the timelines that the history names',
  recovery_target: 'a member always follows to the end of the log',
  recovery_target_action: 'a member always follows to the end of the log',
  recovery_target_inclusive: 'a member always follows to the end of the log',
  recovery_target_lsn: 'a member always follows to the end of the log',
  recovery_target_name: 'a member always follows to the end of the log',
  recovery_target_time: 'a member always follows to the end of the log',
  recovery_target_timeline: 'it is the timeline that the leader claimed',
  recovery_target_xid: 'a member always follows to the end of the log',
  promote_trigger_file: 'only a claim may promote',
  hot_standby: 'a standby must answer the agent; it is always on',
  cluster_name: 'it is the incarnation of the member, by which the leader knows it',
  data_directory: 'it is the `data` folder of the member',
  config_file: 'it is written by the agent',
  hba_file: 'it is the gate that admits clients to the leader',
  ident_file: 'it is written by the agent',
  external_pid_file: 'the agent finds the server by its own pid file',
  listen_addresses: '`host` of the member governs it',
  port: '`port` of the member governs it',
  unix_socket_directories: 'it is the `run` folder of the member',
  unix_socket_permissions: 'only the owner of the folder connects there',
  logging_collector: 'the server writes to the log of its member',
  log_destination: 'the server writes to the log of its member',
  ssl: 'members talk to each other over TLS; it is always on',
  ssl_ca_file: 'it is the certificate authority of the cluster',
  ssl_cert_file: 'it is the certificate of the member',
  ssl_key_file: 'it is the key of the member',
  password_encryption: 'it is always scram-sha-256',
  restart_after_crash: 'a server that crashed is restarted by a decision of the agent, with clients kept out until it is safe',
  allow_alter_system: 'Matriarch undoes what a person sets of its parameters by ALTER SYSTEM RESET',
  fsync: 'without it a confirmed commit may be on no disk; it is always on',
  full_page_writes: 'without it a crash can destroy the data; it is always on',
  wal_log_hints: 'pg_rewind needs it; it is always on',
};

/** Values below these would leave too little for the members and one clone; larger ones are taken as they are. */
export const PARAMETER_MINIMUM: Readonly<Record<string, number>> = { max_wal_senders: 10, max_replication_slots: 10 };

/** Parameters that may be set to some values only, with the reason. */
export const PARAMETER_CHOICES: Readonly<Record<string, { readonly choices: readonly string[]; readonly why: string }>> = {
  wal_level: { choices: ['replica', 'logical'], why: 'standbys cannot follow a lower level' },
  synchronous_commit: {
    choices: ['on', 'remote_apply'],
    why: 'a weaker value acknowledges commits that no standby has flushed; a session may still choose it for itself',
  },
};

/** What members and their order of changes are computed from: a standby with less of them than its primary stops replaying. */
export const WHOLE_NUMBERS: readonly string[] = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_replication_slots',
  'max_prepared_transactions',
  'max_locks_per_transaction',
];
