// What ties a session to its server connection: temporary objects, locks, cursors, sequences. It works as directly, and ends.
import { afterAll, beforeAll } from 'vitest';
import { SessionStage } from '../support/session-stage.ts';
import { type SessionScripts, testScripts } from '../support/test-scripts.ts';

let stage: SessionStage;
beforeAll(async () => {
  stage = await SessionStage.start();
});
afterAll(() => stage?.end());

const LOCKS: SessionScripts = {
  'an advisory lock of one, tried by another': {
    servers: 2,
    steps: `
    A: SELECT pg_advisory_lock(11)
    B: SELECT pg_try_advisory_lock(11)
    A: SELECT pg_advisory_unlock(11)
    B: SELECT pg_try_advisory_lock(11)
    A: SELECT pg_try_advisory_lock(11)
    B: SELECT pg_advisory_unlock_all()
    A: SELECT pg_try_advisory_lock(11)
    A: SELECT pg_advisory_unlock(11), pg_advisory_unlock(11)`,
  },
  'one waits for an advisory lock': {
    servers: 2,
    steps: `
    A: SELECT pg_advisory_lock(12)
    B& SELECT pg_advisory_lock(12)
    A: SELECT pg_advisory_unlock(12)
    B: \\await
    A: SELECT pg_try_advisory_lock(12)
    B: SELECT pg_advisory_unlock(12)`,
  },
  'an advisory lock ends with its session': {
    servers: 2,
    steps: `
    A: SELECT pg_advisory_lock(13)
    B: SELECT pg_try_advisory_lock(13)
    A: \\leave
    B: SELECT pg_advisory_lock(13)
    B: SELECT pg_advisory_unlock(13)`,
  },
  'locks taken several times, shared ones, and of two keys': {
    servers: 2,
    steps: `
    A: SELECT pg_advisory_lock(14), pg_advisory_lock(14), pg_advisory_lock_shared(1, 2)
    A: SELECT pg_advisory_unlock(14)
    B: SELECT pg_try_advisory_lock(14), pg_try_advisory_lock_shared(1, 2), pg_try_advisory_lock(1, 2)
    B: SELECT pg_advisory_unlock_all()
    A: SELECT pg_advisory_unlock(14), pg_advisory_unlock_shared(1, 2)
    B: SELECT pg_try_advisory_lock(14)
    B: SELECT pg_advisory_unlock(14)`,
  },
  'locks of transactions tie nothing': `
    A: BEGIN; SELECT pg_advisory_xact_lock(15)
    A: COMMIT
    B: SELECT pg_try_advisory_xact_lock(15)`,
  'a lock taken in a transaction that rolls back stays': {
    servers: 2,
    steps: `
    A: BEGIN; SELECT pg_advisory_lock(16)
    A: ROLLBACK
    B: SELECT pg_try_advisory_lock(16)
    A: SELECT pg_advisory_unlock(16)
    B: SELECT pg_try_advisory_lock(16)
    B: SELECT pg_advisory_unlock_all()`,
  },
  'locks within functions': {
    servers: 2,
    setup: `CREATE FUNCTION take(n int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN pg_try_advisory_lock(n); END $$;
      CREATE FUNCTION give() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT pg_advisory_unlock_all()'; END $$`,
    steps: `
    A: SELECT take(17)
    B: SELECT take(17)
    A: SELECT give()
    B: SELECT take(17)
    A: SELECT take(17)
    B: SELECT give()`,
  },
  'an unlock of what is not held warns': `
    A: SELECT pg_advisory_unlock(18)
    B: SELECT 1`,
  'DISCARD ALL gives locks back': {
    servers: 2,
    steps: `
    A: SELECT pg_advisory_lock(19)
    A: DISCARD ALL
    B: SELECT pg_try_advisory_lock(19)
    B: SELECT pg_advisory_unlock_all()`,
  },
};

const TEMPORARY: SessionScripts = {
  'a temporary table of each': {
    servers: 2,
    steps: `
    A: CREATE TEMP TABLE t (a int)
    B: SELECT * FROM t
    B: CREATE TEMP TABLE t (b text)
    A: INSERT INTO t VALUES (1)
    B: INSERT INTO t VALUES ('x')
    A: TABLE t
    B: TABLE t
    A: DROP TABLE t
    A: TABLE t
    B: DROP TABLE t`,
  },
  'ON COMMIT DROP ties nothing': `
    A: BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; INSERT INTO t VALUES (1)
    A: TABLE t
    A: COMMIT
    B: TABLE t
    A: TABLE t`,
  'ON COMMIT DELETE ROWS': {
    servers: 2,
    steps: `
    A: CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS
    B: SELECT 1
    A: INSERT INTO t VALUES (1)
    A: TABLE t`,
  },
  'made in a transaction that rolls back': `
    A: BEGIN
    A: CREATE TEMP TABLE t (a int)
    A: ROLLBACK
    B: TABLE t
    A: TABLE t`,
  'SELECT INTO TEMP, CREATE TEMP TABLE AS, and pg_temp by name': {
    servers: 2,
    steps: `
    A: SELECT 1 AS a INTO TEMP t
    B: SELECT 2 AS a INTO TEMPORARY t
    A: TABLE t
    B: TABLE t
    A: CREATE TABLE pg_temp.u AS SELECT 3 AS a
    B: TABLE u
    A: TABLE pg_temp.u`,
  },
  'a search_path that leads to pg_temp': {
    servers: 2,
    steps: `
    A: SET search_path = pg_temp
    A: CREATE TABLE t (a int)
    B: TABLE t
    A: TABLE t
    A: DROP TABLE t
    B: SELECT 1
    A: SHOW search_path`,
  },
  'temporary views, sequences and types': {
    servers: 2,
    steps: `
    A: CREATE TEMP VIEW v AS SELECT 1 AS a
    B: TABLE v
    A: TABLE v
    A: DROP VIEW v
    A: CREATE TEMP SEQUENCE s
    B: SELECT nextval('s')
    A: SELECT nextval('s'), currval('s')
    A: DROP SEQUENCE s
    A: CREATE TYPE pg_temp.y AS (a int)
    A: SELECT (ROW(1)::pg_temp.y).a
    B: SELECT (ROW(1)::pg_temp.y).a`,
  },
  'temporary tables made by functions': {
    servers: 2,
    setup: `CREATE FUNCTION f(n int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE r int; BEGIN
      CREATE TEMP TABLE IF NOT EXISTS work (a int); INSERT INTO work VALUES (n); SELECT sum(a) INTO r FROM work; RETURN r; END $$`,
    steps: `
    A: SELECT f(1)
    B: SELECT f(10)
    A: SELECT f(2)
    B: SELECT f(20)
    A: DROP TABLE work
    B: TABLE work`,
  },
  'DISCARD TEMP': {
    servers: 2,
    steps: `
    A: CREATE TEMP TABLE t (a int)
    A: DISCARD TEMP
    B: TABLE t
    A: TABLE t`,
  },
  'a temporary table over one of the same name': {
    servers: 2,
    setup: `CREATE TABLE t AS SELECT 'lasting' AS a`,
    steps: `
    A: CREATE TEMP TABLE t AS SELECT 'temporary' AS a
    B: TABLE t
    A: TABLE t
    A: DROP TABLE pg_temp.t
    A: TABLE t`,
  },
  'a temporary table whose trigger and default set': {
    servers: 2,
    setup: `CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '3MB', false) $$`,
    steps: `
    A: CREATE TEMP TABLE t (a int, b text DEFAULT f())
    A: INSERT INTO t (a) VALUES (1)
    A: DROP TABLE t
    B: SHOW work_mem
    A: SHOW work_mem`,
  },
};

const CURSORS: SessionScripts = {
  'a cursor WITH HOLD': {
    servers: 2,
    steps: `
    A: BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT generate_series(1, 5)
    A: COMMIT
    B: FETCH c
    A: FETCH 2 FROM c
    B: SELECT count(*) FROM pg_cursors
    A: SELECT name, is_holdable FROM pg_cursors
    A: CLOSE c
    B: FETCH c
    A: FETCH c`,
  },
  'one WITH HOLD that rolls back, one that CLOSE ALL ends': {
    servers: 2,
    steps: `
    A: BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1
    A: ROLLBACK
    B: FETCH c
    A: FETCH c
    A: BEGIN; DECLARE d CURSOR WITH HOLD FOR SELECT 1; COMMIT
    A: CLOSE ALL
    B: SELECT 1
    A: FETCH d`,
  },
  'a plain cursor': `
    A: BEGIN
    A: DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 5)
    A: FETCH 2 FROM c
    A: MOVE BACKWARD 1 FROM c
    A: FETCH NEXT FROM c
    A: COMMIT
    B: FETCH c
    A: FETCH c`,
  'a cursor of a function': `
    A: BEGIN
    A: DO $$ DECLARE c refcursor := 'named'; BEGIN OPEN c FOR SELECT 42; END $$
    A: FETCH named
    A: COMMIT
    B: FETCH named`,
};

const SEQUENCES: SessionScripts = {
  'nextval, currval and lastval of two clients': {
    servers: 2,
    setup: 'CREATE SEQUENCE s; CREATE SEQUENCE u',
    steps: `
    A: \\connect application_name=drawer
    B: \\connect application_name=drawer
    A: SELECT currval('s')
    A: SELECT nextval('s')
    B: SELECT nextval('s')
    A: SELECT currval('s'), lastval()
    B: SELECT currval('s'), lastval()
    B: SELECT nextval('u')
    A: SELECT currval('u')
    A: SELECT lastval()
    B: SELECT lastval()
    A: DISCARD SEQUENCES
    A: SELECT lastval()`,
  },
  'serial and identity columns': {
    servers: 2,
    setup: 'CREATE TABLE t (id serial, a text); CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY, a text)',
    steps: `
    A: \\connect application_name=inserter
    B: \\connect application_name=inserter
    A: SELECT lastval()
    A: INSERT INTO t (a) VALUES ('a')
    B: INSERT INTO t (a) VALUES ('b')
    A: SELECT lastval(), currval('t_id_seq')
    B: SELECT lastval(), currval(pg_get_serial_sequence('t', 'id'))
    B: INSERT INTO i (a) VALUES ('b')
    A: INSERT INTO i (a) VALUES ('a')
    B: SELECT lastval()
    A: SELECT lastval()`,
  },
  'drawn and asked for in one transaction': {
    servers: 2,
    setup: 'CREATE TABLE t (id serial, a text)',
    steps: `
    A: BEGIN; INSERT INTO t (a) VALUES ('a')
    A: SELECT lastval()
    A: COMMIT
    B: INSERT INTO t (a) VALUES ('b'); SELECT lastval()
    A: INSERT INTO t (a) VALUES ('c') RETURNING id`,
  },
};

const OTHER: SessionScripts = {
  'setseed and random': {
    servers: 2,
    steps: `
    A: SELECT setseed(0.5)
    B: SELECT setseed(0.25)
    A: SELECT random()
    B: SELECT random()
    A: SELECT random()
    A: SET seed = 0.5
    B: SELECT random()
    A: SELECT random()`,
  },
  'large objects': `
    A: BEGIN; SELECT lo_create(9901)
    A: SELECT lowrite(lo_open(9901, 131072), 'hello')
    A: COMMIT
    B: SELECT convert_from(lo_get(9901), 'UTF8')
    A: SELECT lo_open(9901, 262144)
    B: SELECT loread(0, 5)
    A: SELECT lo_unlink(9901)`,
  'two-phase commit': {
    setup: 'CREATE TABLE t (a int)',
    steps: `
    A: BEGIN; INSERT INTO t VALUES (1)
    A: PREPARE TRANSACTION 'first'
    B: TABLE t
    B: COMMIT PREPARED 'first'
    A: TABLE t
    A: BEGIN; INSERT INTO t VALUES (2)
    A: PREPARE TRANSACTION 'second'
    A: ROLLBACK PREPARED 'second'
    B: TABLE t
    A: PREPARE TRANSACTION 'third'`,
  },
  'a setting in a transaction that is prepared': {
    setup: 'CREATE TABLE t (a int)',
    steps: `
    A: BEGIN; SET work_mem = '3MB'; INSERT INTO t VALUES (1)
    A: PREPARE TRANSACTION 'fourth'
    B: SHOW work_mem
    A: SHOW work_mem
    A: ROLLBACK PREPARED 'fourth'`,
  },
  LOAD: {
    servers: 2,
    steps: `
    A: \\connect user=super
    B: \\connect user=super
    A: LOAD 'auto_explain'
    A: SHOW auto_explain.log_min_duration
    A: SET auto_explain.log_min_duration = 77
    B: SELECT nullif(current_setting('auto_explain.log_min_duration', true), '')
    A: SHOW auto_explain.log_min_duration`,
  },
  'replication origins of a session': {
    servers: 2,
    steps: `
    A: \\connect user=super
    B: \\connect user=super
    A: SELECT pg_replication_origin_create('an_origin_' || current_database()) IS NULL
    A: SELECT pg_replication_origin_session_setup('an_origin_' || current_database())
    B: SELECT pg_replication_origin_session_is_setup()
    A: SELECT pg_replication_origin_session_is_setup()`,
  },
  'COPY between other things': {
    setup: 'CREATE TABLE t (a int)',
    steps: `
    A: SET TimeZone = 'Asia/Tokyo'
    B: INSERT INTO t VALUES (1); COPY t TO STDOUT
    A: SHOW TimeZone
    A: COPY t TO STDOUT
    B: SHOW TimeZone`,
  },
  'empty texts, errors and warnings leave nothing': `
    A: ;
    A: SELEC
    B: COMMIT
    B: ROLLBACK
    A: BEGIN
    A: BEGIN
    A: COMMIT
    A: SET LOCAL work_mem = '3MB'
    B: SHOW work_mem`,
};

for (const scripts of [LOCKS, TEMPORARY, CURSORS, SEQUENCES, OTHER]) testScripts(scripts, () => stage);
