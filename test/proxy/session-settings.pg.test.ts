// What clients set, in turns on one server connection: each sees what it would see on one of its own.
import { afterAll, beforeAll } from 'vitest';
import { SessionStage } from '../support/session-stage.ts';
import { type SessionScripts, testScripts } from '../support/test-scripts.ts';

let stage: SessionStage;
beforeAll(async () => {
  stage = await SessionStage.start();
});
afterAll(() => stage?.end());

const SCRIPTS: SessionScripts = {
  'SET and SHOW': `
    A: SET work_mem = '3MB'
    B: SHOW work_mem
    B: SET work_mem = '5MB'
    A: SHOW work_mem
    B: SHOW work_mem`,
  RESET: `
    A: SET work_mem = '3MB'
    B: SHOW work_mem
    A: RESET work_mem
    B: SHOW work_mem
    A: SHOW work_mem`,
  'SET TO DEFAULT': `
    A: SET work_mem = '3MB'; SET statement_timeout TO 1000
    B: SHOW work_mem
    A: SET work_mem TO DEFAULT
    B: SHOW work_mem
    A: SHOW work_mem
    A: SHOW statement_timeout`,
  'SET LOCAL': `
    A: BEGIN
    A: SET LOCAL work_mem = '3MB'
    A: SHOW work_mem
    A: COMMIT
    B: SHOW work_mem
    A: SHOW work_mem`,
  'SET LOCAL over SET': `
    A: SET work_mem = '3MB'
    B: SELECT 1
    A: BEGIN
    A: SET LOCAL work_mem = '4MB'
    A: SHOW work_mem
    A: COMMIT
    B: SHOW work_mem
    A: SHOW work_mem`,
  'SET in a transaction that rolls back': `
    A: BEGIN
    A: SET work_mem = '3MB'
    A: ROLLBACK
    B: SHOW work_mem
    A: SHOW work_mem`,
  'SET in a transaction that fails': `
    A: BEGIN
    A: SET work_mem = '3MB'
    A: SELECT 1/0
    A: COMMIT
    B: SHOW work_mem
    A: SHOW work_mem`,
  'SET behind a savepoint that is rolled back to': `
    A: BEGIN
    A: SET work_mem = '3MB'
    A: SAVEPOINT s
    A: SET work_mem = '4MB'
    A: SET TimeZone = 'Asia/Tokyo'
    A: ROLLBACK TO s
    A: COMMIT
    B: SHOW work_mem
    B: SHOW TimeZone
    A: SHOW work_mem
    A: SHOW TimeZone`,
  'SET behind a savepoint that is released': `
    A: BEGIN; SAVEPOINT s; SET TimeZone = 'Asia/Tokyo'; RELEASE s
    A: COMMIT
    B: SHOW TimeZone
    A: SHOW TimeZone`,
  'SET in one text whose later statement fails': `
    A: SET TimeZone = 'Asia/Tokyo'; SELECT 1/0
    B: SHOW TimeZone
    A: SHOW TimeZone`,
  'set_config for the session and for the transaction': `
    A: SELECT set_config('app.tenant', '7', false), set_config('app.other', '8', true)
    B: SELECT nullif(current_setting('app.tenant', true), ''), nullif(current_setting('app.other', true), '')
    B: SELECT set_config('app.tenant', '9', false)
    A: SELECT nullif(current_setting('app.tenant', true), ''), nullif(current_setting('app.other', true), '')
    B: SELECT nullif(current_setting('app.tenant', true), '')`,
  'set_config with names and values that are computed': {
    servers: 2,
    steps: `
    A: SELECT set_config('app.' || n, n, false) FROM unnest(ARRAY['a', 'b']) n
    B: SELECT nullif(current_setting('app.b', true), '')
    A: SELECT nullif(current_setting('app.a', true), ''), nullif(current_setting('app.b', true), '')
    A: RESET ALL
    B: SELECT 1
    A: SELECT nullif(current_setting('app.a', true), '')`,
  },
  'set_config by parameters': {
    servers: 2,
    steps: `
    A: \\ext SELECT set_config($1, $2, false) | work_mem | 3MB
    B: SHOW work_mem
    A: \\ext SELECT set_config($1, $2, $3::bool) | TimeZone | Asia/Tokyo | f
    B: SHOW TimeZone
    A: SHOW work_mem
    A: SHOW TimeZone`,
  },
  'set_config through UPDATE pg_settings': `
    A: UPDATE pg_settings SET setting = '3333' WHERE name = 'work_mem'
    B: SHOW work_mem
    A: SHOW work_mem`,
  'custom settings with odd names and values': `
    A: SET "My.Odd Setting" = 'x'
    A: SET my.setting = 'it''s "quoted" \\ and ü'
    A: SET a.b.c = 'three'
    B: SELECT nullif(current_setting('my.setting', true), ''), nullif(current_setting('a.b.c', true), '')
    A: SELECT nullif(current_setting('my.setting', true), ''), nullif(current_setting('a.b.c', true), '')`,
  'custom settings come and go': `
    A: SET my.setting = '1'
    B: SELECT nullif(current_setting('my.setting', true), '')
    A: RESET my.setting
    A: SHOW my.setting
    B: SELECT nullif(current_setting('my.setting', true), '') IS NULL
    A: SET my.setting = ''
    B: SELECT 1
    A: SELECT nullif(current_setting('my.setting', true), '') IS NULL`,
  'RESET ALL': `
    A: SET work_mem = '3MB'; SET my.setting = 'x'; SET application_name = 'renamed'
    B: SHOW work_mem
    A: RESET ALL
    B: SELECT nullif(current_setting('my.setting', true), '')
    A: SELECT current_setting('work_mem'), nullif(current_setting('my.setting', true), ''), current_setting('application_name')`,
  'RESET ALL keeps what the startup said': `
    A: \\connect application_name=mine TimeZone=Asia/Tokyo
    B: \\connect application_name=theirs
    A: SET TimeZone = 'Europe/Berlin'; SET application_name = 'renamed'
    B: SHOW TimeZone
    B: SHOW application_name
    A: RESET ALL
    B: SHOW application_name
    A: SELECT current_setting('TimeZone'), current_setting('application_name')`,
  'DISCARD ALL': `
    A: \\connect application_name=mine
    A: SET work_mem = '3MB'; SET application_name = 'renamed'
    A: PREPARE p AS SELECT 1
    B: SHOW work_mem
    A: DISCARD ALL
    B: SELECT 1
    A: SELECT current_setting('work_mem'), current_setting('application_name')
    A: EXECUTE p`,
  'DISCARD PLANS, SEQUENCES, TEMP': {
    servers: 2,
    setup: '',
    steps: `
    A: SET work_mem = '3MB'
    A: DISCARD PLANS
    A: CREATE SEQUENCE s; SELECT nextval('s')
    A: DISCARD SEQUENCES
    A: CREATE TEMP TABLE t (a int)
    A: DISCARD TEMP
    B: SHOW work_mem
    A: SELECT * FROM t
    A: SHOW work_mem`,
  },
  'SET ROLE': `
    A: SET ROLE worker
    B: SELECT current_user, session_user
    A: SELECT current_user, session_user
    B: SET ROLE reader
    A: SELECT current_user, session_user
    B: SELECT current_user, session_user
    A: RESET ROLE
    B: SELECT current_user
    A: SELECT current_user
    B: SET ROLE NONE
    A: SELECT current_user
    B: SELECT current_user`,
  'SET LOCAL ROLE': `
    A: BEGIN; SET LOCAL ROLE worker
    A: SELECT current_user
    A: COMMIT
    B: SELECT current_user
    A: SELECT current_user`,
  'SET ROLE that is refused, or rolled back': `
    A: SET ROLE postgres
    B: SELECT current_user
    A: BEGIN; SET ROLE worker
    A: ROLLBACK
    B: SELECT current_user
    A: SELECT current_user`,
  'SET ROLE by set_config': `
    A: SELECT set_config('role', 'worker', false)
    B: SELECT current_user
    A: SELECT current_user`,
  'SET SESSION AUTHORIZATION': `
    A: \\connect user=super
    B: \\connect user=super
    A: SET SESSION AUTHORIZATION app
    B: SELECT current_user, session_user, current_setting('is_superuser')
    A: SELECT current_user, session_user, current_setting('is_superuser')
    A: SET ROLE worker
    B: SELECT current_user, session_user
    A: SELECT current_user, session_user
    A: CREATE ROLE nobody
    B: SELECT 1
    A: RESET SESSION AUTHORIZATION
    B: SELECT 1
    A: SELECT current_user, session_user`,
  'SET SESSION AUTHORIZATION DEFAULT, and the same name': `
    A: \\connect user=super
    B: \\connect user=super
    A: SET SESSION AUTHORIZATION 'app'
    B: SET SESSION AUTHORIZATION 'super'
    A: SET SESSION AUTHORIZATION DEFAULT
    B: SELECT session_user
    A: SELECT session_user`,
  'a superuser sets what others may not, then acts as another': `
    A: \\connect user=super
    B: \\connect user=super
    A: SET log_statement = 'all'
    A: SET ROLE app
    B: SHOW log_statement
    A: SHOW log_statement
    A: SELECT current_user
    B: SELECT current_user`,
  application_name: `
    A: \\connect application_name=one
    B: \\connect application_name=two
    C: \\connect
    A: SHOW application_name
    B: SHOW application_name
    C: SHOW application_name
    A: SET application_name = 'ünï "x"'
    C: SHOW application_name
    B: SHOW application_name
    A: SHOW application_name
    A: RESET application_name
    C: SHOW application_name
    A: SHOW application_name
    A: SET application_name = ''
    B: SHOW application_name
    A: SHOW application_name
    A: RESET application_name
    B: SHOW application_name
    A: SHOW application_name`,
  'client_encoding with values outside ASCII': `
    A: SET my.word = 'grün'
    A: SET client_encoding = 'LATIN1'
    B: SHOW client_encoding
    A: SELECT encode(convert_to(current_setting('my.word'), 'UTF8'), 'hex')
    B: SET my.word = 'blü'
    A: SELECT encode(convert_to(current_setting('my.word'), 'UTF8'), 'hex')
    B: SHOW my.word
    A: RESET client_encoding
    B: SELECT 1
    A: SHOW my.word`,
  'client_encoding at the startup': `
    A: \\connect client_encoding=LATIN1
    B: \\connect
    A: SELECT set_config('my.word', convert_from('\\x67c3bc', 'UTF8'), false) IS NULL
    B: SHOW client_encoding
    B: SELECT nullif(current_setting('my.word', true), '')
    A: SELECT encode(convert_to(current_setting('my.word'), 'UTF8'), 'hex')
    A: SET NAMES 'UTF8'
    B: SELECT 1
    A: SHOW my.word
    A: RESET client_encoding
    B: SHOW client_encoding
    A: SHOW client_encoding`,
  'search_path with quoted names': {
    setup: `CREATE SCHEMA "Odd, one"; CREATE SCHEMA plain; CREATE TABLE "Odd, one".t AS SELECT 'odd' AS a; CREATE TABLE plain.t AS SELECT 'plain' AS a`,
    steps: `
    A: SET search_path = "Odd, one", public
    B: SET search_path = plain
    A: SELECT a FROM t
    B: SELECT a FROM t
    A: SHOW search_path
    B: SET search_path = ''
    A: SELECT a FROM t
    B: SELECT a FROM t
    B: SHOW search_path
    B: SET SCHEMA 'plain'
    A: SELECT 1
    B: SELECT a FROM t`,
  },
  'search_path and statements of the protocol': {
    setup: `CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t AS SELECT 'one' AS a; CREATE TABLE two.t AS SELECT 'two' AS a`,
    steps: `
    A: SET search_path = one
    B: SET search_path = two
    A: \\parse s SELECT a FROM t
    B: \\parse s SELECT a FROM t
    A: \\run s
    B: \\run s
    A: SET search_path = two
    B: \\run s
    A: \\run s`,
  },
  'startup parameters and options': `
    A: \\connect TimeZone=Asia/Tokyo options='-c work_mem=3MB -c my.option=x'
    B: \\connect
    A: SELECT current_setting('TimeZone'), current_setting('work_mem'), nullif(current_setting('my.option', true), '')
    B: SELECT current_setting('TimeZone'), current_setting('work_mem'), nullif(current_setting('my.option', true), '')
    A: SET work_mem = '4MB'
    B: SHOW work_mem
    A: RESET work_mem
    B: SHOW work_mem
    A: SHOW work_mem`,
  'a startup parameter that is refused': `
    A: \\connect nonsense=1
    B: SELECT 1`,
  'ALTER ROLE SET, for those that come later': `
    A: \\connect user=super
    A: ALTER ROLE other SET work_mem = '6MB'
    B: \\connect user=other
    B: SHOW work_mem
    A: ALTER ROLE other RESET work_mem`,
  'DateStyle, IntervalStyle and what is reported': `
    A: SET DateStyle = 'German, DMY'
    B: SELECT '2026-02-01'::date
    A: SELECT '2026-02-01'::date
    A: SET IntervalStyle = 'iso_8601'
    B: SELECT '1 day'::interval
    A: SELECT '1 day'::interval
    A: SET DateStyle = 'ISO'
    B: SELECT 1
    A: SHOW DateStyle`,
  'SET TIME ZONE in its forms': `
    A: SET TIME ZONE 'PST8PDT'
    B: SHOW TIME ZONE
    A: SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE
    B: SHOW TIME ZONE
    A: SHOW TIME ZONE
    A: SELECT '2026-01-01 00:00Z'::timestamptz
    A: SET TIME ZONE -7
    B: SELECT 1
    A: SHOW TIME ZONE
    A: SET TIME ZONE LOCAL
    B: SELECT 1
    A: SHOW TIME ZONE`,
  'standard_conforming_strings off': `
    A: SET standard_conforming_strings = off; SET escape_string_warning = off
    B: SELECT 'a\\\\b'
    A: SELECT 'a\\\\b'
    A: SELECT 'it\\'s; SET work_mem = 1'
    B: SHOW work_mem
    A: SET my.path = 'c:\\\\x'
    B: SELECT 1
    A: SHOW my.path
    A: SET my.path = 'it\\'s'
    B: SELECT 1
    A: SHOW my.path`,
  client_min_messages: `
    A: SET client_min_messages = error
    B: DO $$ BEGIN RAISE WARNING 'here'; END $$
    A: DO $$ BEGIN RAISE WARNING 'here'; END $$
    B: SET client_min_messages = debug1
    A: DROP TABLE IF EXISTS nowhere
    B: DROP TABLE IF EXISTS nowhere`,
  'statement_timeout of each client': `
    A: SET statement_timeout = 20
    B: SELECT pg_sleep(0.06) IS NULL
    A: SELECT pg_sleep(10)
    B: SHOW statement_timeout
    A: SHOW statement_timeout`,
  'SET SESSION CHARACTERISTICS and SET TRANSACTION': {
    setup: '',
    steps: `
    A: SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY
    B: SHOW transaction_isolation
    B: CREATE TABLE t (a int)
    A: SHOW transaction_isolation
    A: CREATE TABLE u (a int)
    A: BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ WRITE
    A: SHOW transaction_isolation
    A: COMMIT
    B: SHOW transaction_isolation
    A: SHOW transaction_isolation`,
  },
  'settings that only some values suit': `
    A: SET work_mem = 'nonsense'
    B: SHOW work_mem
    A: SET max_connections = 10
    A: SET nothing_like_this = 1
    B: SELECT 1
    A: SET log_statement = 'all'`,
  'settings of several clients that overlap': `
    A: SET work_mem = '1MB'; SET lock_timeout = 1; SET extra_float_digits = 0
    B: SET lock_timeout = 2; SET bytea_output = 'escape'
    C: SET work_mem = '3MB'
    A: SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_setting('extra_float_digits'), current_setting('bytea_output')
    C: SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_setting('extra_float_digits'), current_setting('bytea_output')
    B: SELECT current_setting('work_mem'), current_setting('lock_timeout'), current_setting('extra_float_digits'), current_setting('bytea_output')`,
  'what is set by SET FROM CURRENT and by a function with SET': {
    setup: `CREATE FUNCTION f() RETURNS text LANGUAGE sql SET work_mem = '7MB' AS $$ SELECT current_setting('work_mem') $$`,
    steps: `
    A: SELECT f()
    B: SHOW work_mem
    A: SHOW work_mem`,
  },
};

testScripts(SCRIPTS, () => stage);
