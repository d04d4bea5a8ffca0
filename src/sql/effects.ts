/**
 * What a text may do to the session that a server connection carries, as bits. A bit that is set without need costs a probe behind the
 * transaction; one that is missing lets a client meet what another left behind.
 */
export const EFFECT = {
  /** SET, RESET, `set_config()`; not SET LOCAL, which ends with its transaction. */
  settings: 1 << 0,
  /** PREPARE, EXECUTE, DEALLOCATE, or the view of prepared statements. EXECUTE has the effects of what was prepared besides. */
  prepared: 1 << 1,
  /** May create or drop a temporary object: any CREATE or DROP, since a search path may lead to `pg_temp`, and SELECT INTO. */
  temporary: 1 << 2,
  /** Takes or gives back advisory locks that outlive the transaction. */
  locks: 1 << 3,
  /** DECLARE ... WITH HOLD, CLOSE. */
  cursors: 1 << 4,
  listen: 1 << 5,
  unlisten: 1 << 6,
  /** `nextval()`, `setval()`, or a write to a relation whose defaults call them: what `currval()` answers afterwards. */
  sequences: 1 << 7,
  /** Asks what this backend last drew from a sequence. */
  currval: 1 << 8,
  /** LOAD. */
  library: 1 << 9,
  /** `setseed()`, SET seed. */
  seed: 1 << 10,
  /** Runs code whose effects are unknown: DO, CALL, dynamic SQL, a foreign language. Anything may be the case. */
  code: 1 << 11,
  discard: 1 << 12,
  /** Definitions that may change the hazard set. */
  catalog: 1 << 13,
  /** May commit in its midst: COMMIT, END, PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED, CALL, DO. */
  ends: 1 << 14,
  /** Not proved to be a single statement that only reads. */
  writes: 1 << 15,
  begins: 1 << 16,
  /** ROLLBACK, ABORT, also to a savepoint. */
  rollsBack: 1 << 17,
  /** COPY FROM STDIN or TO STDOUT. */
  copies: 1 << 18,
  /** Its answer depends on which backend it reaches; leaves nothing behind. */
  backendIdentity: 1 << 19,
  /** SET client_min_messages. */
  messages: 1 << 20,
  /** State of the backend that no probe sees: replication origins, temporary slots, a base backup, connections of dblink. */
  backend: 1 << 21,
  /** Sets what is named by an expression: of a setting with a dot nobody would know. */
  unnamed: 1 << 22,
  /**
   * No reading that others may wait behind: functions, operators and types of the database's own, volatile functions, unlogged and
   * foreign tables. Leaves nothing behind.
   */
  unshared: 1 << 23,
} as const;

/** Every bit: the text has more than one reading, or hides its names. */
export const ANY_EFFECT = (1 << 24) - 1;
