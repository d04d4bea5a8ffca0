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
  unshared,
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
  // All other volatile ones, and the views of them: they leave nothing, and may wait or depend on when they run.
  ...names(
    `clock_timestamp timeofday random random_normal array_shuffle array_sample gen_random_uuid uuidv4 uuidv7 set_config
     pg_sleep pg_sleep_for pg_sleep_until current_query currtid2 lo_get pg_notification_queue_usage
     pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status pg_locks
     pg_prepared_xact pg_prepared_xacts pg_collation_actual_version pg_database_collation_actual_version
     pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_current_logfile pg_read_file_old
     pg_ls_archive_statusdir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir pg_ls_replslotdir pg_ls_tmpdir pg_ls_waldir
     pg_ls_summariesdir pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size
     pg_get_multixact_members pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_shmem_allocations
     pg_shmem_allocations_numa pg_get_wal_replay_pause_state pg_get_wal_resource_managers pg_get_wal_summarizer_state
     pg_available_wal_summaries pg_wal_summary_contents pg_get_loaded_modules pg_numa_available pg_jit_available
     pg_hba_file_rules pg_ident_file_mappings pg_show_all_file_settings pg_file_settings pg_is_wal_replay_paused
     pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
     pg_partition_ancestors pg_partition_tree pg_replication_origin_progress pg_show_replication_origin_status
     pg_sequence_last_value pg_sequences pg_stat_get_recovery_prefetch pg_stat_recovery_prefetch pg_stat_have_stats
     pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
     pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
     pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
     pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
     pg_stat_get_xact_tuples_updated pg_stat_xact_all_tables pg_stat_xact_sys_tables pg_stat_xact_user_tables
     pg_stat_xact_user_functions pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status`,
    unshared,
  ),
]);

/** What using these relations does besides when the text writes: `UPDATE pg_settings` sets. */
export const BUILTIN_WRITES: ReadonlyMap<string, number> = new Map([['pg_settings', settings]]);
