import { EFFECT } from './effects.ts';

const {
  locks,
  sequences,
  currval,
  seed,
  code,
  prepared,
  temporary,
  backend,
  backendIdentity,
  writes,
  settings,
  listen,
  cursors,
} = EFFECT;

function names(list: string, effects: number): [string, number][] {
  return list
    .trim()
    .split(/\s+/)
    .map((name) => [name, effects]);
}

/**
 * Functions and relations of `pg_catalog` that are not harmless, from `pg_proc` of PostgreSQL 13 to 18: all volatile functions but those
 * that only look, those that run a query given as text, and those whose answer belongs to one backend. `set_config` is read by its
 * arguments instead (see SetConfigCall).
 */
export const BUILTIN_NAMES: ReadonlyMap<string, number> = new Map([
  ...names(
    `pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared pg_advisory_unlock
     pg_advisory_unlock_shared pg_advisory_unlock_all`,
    locks | writes,
  ),
  ...names(
    'pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared',
    writes,
  ),
  ...names('nextval setval', sequences | writes),
  ...names('currval lastval', currval),
  ...names('setseed', seed | writes),
  ...names(
    `query_to_xml query_to_xml_and_xmlschema query_to_xmlschema cursor_to_xml cursor_to_xmlschema ts_stat ts_rewrite
     table_to_xml table_to_xml_and_xmlschema schema_to_xml schema_to_xml_and_xmlschema database_to_xml
     database_to_xml_and_xmlschema plpgsql_call_handler plpgsql_inline_handler pg_import_system_collations`,
    code | writes,
  ),
  ...names('pg_prepared_statements pg_prepared_statement', prepared),
  ...names('pg_cursors pg_cursor', cursors),
  // A function there is in no hazard set, and is only called by this name.
  ...names('pg_temp', temporary | code),
  ...names(
    `pg_replication_origin_session_setup pg_replication_origin_session_reset pg_create_physical_replication_slot
     pg_create_logical_replication_slot pg_copy_physical_replication_slot pg_copy_logical_replication_slot
     pg_drop_replication_slot pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup pg_stop_making_pinned_objects
     binary_upgrade_set_next_pg_type_oid`,
    backend | writes,
  ),
  ...names(
    `pg_backend_pid pg_my_temp_schema inet_client_addr inet_client_port inet_server_addr inet_server_port
     pg_postmaster_start_time pg_conf_load_time pg_is_in_recovery pg_stat_get_activity pg_stat_activity
     pg_replication_origin_session_is_setup pg_replication_origin_session_progress pg_get_backend_memory_contexts
     pg_backend_memory_contexts`,
    backendIdentity,
  ),
  ...names('pg_listening_channels', backendIdentity | listen),
  ...names(
    `lo_close lo_creat lo_create lo_export lo_from_bytea lo_import lo_lseek lo_lseek64 lo_open lo_put lo_tell lo_tell64
     lo_truncate lo_truncate64 lo_unlink loread lowrite pg_notify pg_logical_emit_message pg_export_snapshot
     pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_switch_wal pg_switch_xlog pg_promote pg_create_restore_point
     pg_cancel_backend pg_terminate_backend pg_log_backend_memory_contexts pg_replication_origin_advance
     pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_xact_reset
     pg_replication_origin_xact_setup pg_replication_slot_advance pg_logical_slot_get_changes
     pg_logical_slot_get_binary_changes pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes pg_stat_reset
     pg_stat_reset_shared pg_stat_reset_replication_slot pg_stat_reset_single_function_counters
     pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats pg_stat_reset_backend_stats
     pg_stat_force_next_flush pg_stat_clear_snapshot pg_wal_replay_pause pg_wal_replay_resume pg_nextoid
     brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list txid_current
     pg_current_xact_id pg_extension_config_dump pg_sync_replication_slots pg_set_relation_stats pg_clear_relation_stats
     pg_set_attribute_stats pg_clear_attribute_stats pg_restore_relation_stats pg_restore_attribute_stats
     pg_clear_relation_stats pg_current_wal_lsn pg_current_wal_insert_lsn pg_current_wal_flush_lsn
     pg_ls_dir pg_read_file pg_read_binary_file pg_stat_file`,
    writes,
  ),
]);

/** What using these relations does besides when the text writes: `UPDATE pg_settings` sets. */
export const BUILTIN_WRITES: ReadonlyMap<string, number> = new Map([['pg_settings', settings]]);
