// Statements that clients prepare, by SQL and by the protocol, and the code of a database that changes sessions.
import { afterAll, beforeAll } from 'vitest';
import { SessionStage } from '../support/session-stage.ts';
import { type SessionScripts, testScripts } from '../support/test-scripts.ts';

let stage: SessionStage;
beforeAll(async () => {
  stage = await SessionStage.start();
});
afterAll(() => stage?.end());

const PREPARED: SessionScripts = {
  'one name, two texts': `
    A: PREPARE p (int) AS SELECT $1 + 1
    B: PREPARE p (text) AS SELECT $1 || '!'
    A: EXECUTE p(1)
    B: EXECUTE p('x')
    A: DEALLOCATE p
    B: EXECUTE p('y')
    A: EXECUTE p(1)`,
  'PREPARE twice': `
    A: PREPARE p AS SELECT 1
    B: SELECT 1
    A: PREPARE p AS SELECT 2
    A: EXECUTE p`,
  'PREPARE in a transaction that rolls back stays': `
    A: BEGIN
    A: PREPARE p AS SELECT 1
    A: ROLLBACK
    B: EXECUTE p
    A: EXECUTE p`,
  'PREPARE in a transaction that fails': `
    A: BEGIN
    A: PREPARE p AS SELECT 1
    A: SELECT 1/0
    A: PREPARE q AS SELECT 2
    A: ROLLBACK
    B: SELECT 1
    A: EXECUTE p
    A: EXECUTE q`,
  'EXPLAIN EXECUTE and CREATE TABLE AS EXECUTE': {
    setup: '',
    steps: `
    A: PREPARE p AS SELECT 7 AS n
    B: SELECT 1
    A: EXPLAIN (COSTS off) EXECUTE p
    B: SELECT 1
    A: CREATE TABLE made AS EXECUTE p
    B: SELECT * FROM made
    A: CREATE TABLE none AS EXECUTE q`,
  },
  'the view of prepared statements': `
    A: PREPARE p AS SELECT 1
    B: PREPARE "Odd ü" AS SELECT 'ü'
    A: SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY 1
    B: SELECT name, statement, from_sql FROM pg_prepared_statements ORDER BY 1
    B: EXECUTE "Odd ü"
    A: SELECT 1
    B: DEALLOCATE "Odd ü"
    A: SELECT count(*) FROM pg_prepared_statements`,
  'texts outside ASCII under another encoding': `
    A: PREPARE p AS SELECT 'grün' AS a
    A: SET client_encoding = 'LATIN1'
    B: SELECT 1
    A: EXECUTE p
    A: RESET client_encoding
    B: SELECT 1
    A: EXECUTE p`,
  'DEALLOCATE ALL': `
    A: PREPARE p AS SELECT 1
    B: PREPARE p AS SELECT 2
    A: DEALLOCATE ALL
    B: EXECUTE p
    A: EXECUTE p`,
  'DEALLOCATE PREPARE': `
    A: PREPARE p AS SELECT 1
    B: SELECT 1
    A: DEALLOCATE PREPARE p
    B: SELECT 1
    A: EXECUTE p`,
  'prepared under a search_path': {
    setup: `CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t AS SELECT 'one' AS a; CREATE TABLE two.t AS SELECT 'two' AS a`,
    steps: `
    A: SET search_path = one
    A: PREPARE p AS SELECT a FROM t
    B: SET search_path = two
    B: PREPARE p AS SELECT a FROM t
    A: EXECUTE p
    B: EXECUTE p
    A: SET search_path = two
    B: SELECT 1
    A: EXECUTE p`,
  },
  'what EXECUTE does is done to the session': `
    A: PREPARE p AS SELECT set_config('work_mem', '3MB', false)
    B: SELECT 1
    A: EXECUTE p
    B: SHOW work_mem
    A: SHOW work_mem`,
  'statements of the protocol, one name in two clients': `
    A: \\parse s SELECT 1 AS a
    B: \\parse s SELECT 'x' AS b
    A: \\run s
    B: \\run s
    A: \\close s
    B: \\run s
    A: \\run s`,
  'statements of the protocol by SQL and the other way round': `
    A: \\parse s SELECT 1 AS a
    B: SELECT 1
    A: EXECUTE s
    A: PREPARE q AS SELECT 2
    B: SELECT 1
    A: \\run q
    B: \\run q
    A: DEALLOCATE s
    B: SELECT 1
    A: \\run s
    A: \\parse q SELECT 3`,
  'DISCARD ALL and DEALLOCATE ALL take those of the protocol': `
    A: \\parse s SELECT 1 AS a
    B: \\parse s SELECT 1 AS a
    A: DEALLOCATE ALL
    B: \\run s
    A: \\run s
    B: DISCARD ALL
    A: \\parse s SELECT 1 AS a
    B: \\run s
    A: \\run s`,
  'a statement of the protocol that sets': `
    A: \\parse s SELECT set_config('work_mem', '3MB', false)
    B: SELECT 1
    A: \\run s
    B: SHOW work_mem
    A: SHOW work_mem`,
};

const CODE: SessionScripts = {
  'a function that sets': {
    setup: `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '3MB'; PERFORM set_config('app.tenant', '7', false); END $$`,
    steps: `
    A: SELECT f()
    B: SELECT current_setting('work_mem'), nullif(current_setting('app.tenant', true), '')
    A: SELECT current_setting('work_mem'), current_setting('app.tenant', true)`,
  },
  'a function that is computed sets': {
    servers: 2,
    setup: `CREATE FUNCTION f(n text, v text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('app.' || n, v, false); END $$`,
    steps: `
    A: SELECT f('one', '1')
    B: SELECT nullif(current_setting('app.one', true), '')
    B: SELECT f('one', '2')
    A: SELECT current_setting('app.one', true)
    B: SELECT current_setting('app.one', true)`,
  },
  'dynamic SQL sets': {
    setup: `CREATE FUNCTION f(sql text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; END $$`,
    steps: `
    A: SELECT f('SET work_mem = ''3MB''; SET TimeZone = ''Asia/Tokyo''')
    B: SELECT current_setting('work_mem'), current_setting('TimeZone')
    A: SELECT current_setting('work_mem'), current_setting('TimeZone')
    A: SELECT f('RESET ALL')
    B: SELECT 1
    A: SELECT current_setting('work_mem'), current_setting('TimeZone')`,
  },
  'dynamic SQL sets what nobody can name: others do not see it': {
    setup: `CREATE FUNCTION f(sql text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; END $$`,
    steps: `
    A: SELECT f('SET hidden.value = ''3MB''')
    B: SELECT nullif(current_setting('hidden.value', true), '')`,
  },
  DO: `
    A: DO $$ BEGIN SET work_mem = '3MB'; PERFORM set_config('app.by_do', 'x', false); END $$
    B: SELECT current_setting('work_mem'), nullif(current_setting('app.by_do', true), '')
    A: SELECT current_setting('work_mem')`,
  'DO in a transaction that rolls back': `
    A: BEGIN
    A: DO $$ BEGIN SET work_mem = '3MB'; END $$
    A: ROLLBACK
    B: SHOW work_mem
    A: SHOW work_mem`,
  'a procedure that commits and sets': {
    setup: `CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '3MB'; COMMIT; SET lock_timeout = 77; COMMIT; END $$`,
    steps: `
    A: CALL p()
    B: SELECT current_setting('work_mem'), current_setting('lock_timeout')
    A: SELECT current_setting('work_mem'), current_setting('lock_timeout')`,
  },
  'a trigger that sets': {
    setup: `CREATE TABLE t (a int); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET TimeZone = 'Asia/Tokyo'; RETURN new; END $$;
      CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()`,
    steps: `
    A: INSERT INTO t VALUES (1)
    B: SHOW TimeZone
    A: SHOW TimeZone`,
  },
  'a default, a view, a domain and an operator that set': {
    setup: `CREATE FUNCTION f(n text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', n, false) $$;
      CREATE FUNCTION g(a int, b int) RETURNS text LANGUAGE sql AS $$ SELECT set_config('lock_timeout', (a + b)::text, false) $$;
      CREATE OPERATOR ^^^ (LEFTARG = int, RIGHTARG = int, FUNCTION = g);
      CREATE FUNCTION h(t text) RETURNS bool LANGUAGE sql AS $$ SELECT set_config('bytea_output', t, false) = t $$;
      CREATE DOMAIN d AS text CHECK (h(value));
      CREATE TABLE t (a int, b text DEFAULT f('3MB')); CREATE VIEW v AS SELECT f('5MB') AS a`,
    steps: `
    A: INSERT INTO t (a) VALUES (1)
    B: SHOW work_mem
    B: SELECT * FROM v
    A: SHOW work_mem
    B: SHOW work_mem
    A: SELECT 3 ^^^ 4
    B: SHOW lock_timeout
    A: SHOW lock_timeout
    B: SELECT 'escape'::d
    A: SHOW bytea_output
    B: SHOW bytea_output`,
  },
  'an operator and a rule that set': {
    setup: `CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO ALSO SELECT set_config('work_mem', '3MB', false)`,
    steps: `
    A: INSERT INTO t VALUES (1)
    B: SHOW work_mem
    A: SHOW work_mem`,
  },
  'functions that were defined a moment ago': {
    setup: '',
    steps: `
    A: SELECT 1
    A: CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '3MB'; END $$
    A: SELECT f()
    B: SHOW work_mem
    A: SHOW work_mem
    B: SELECT f()
    A: RESET work_mem
    B: SHOW work_mem
    A: SHOW work_mem
    A: CREATE OR REPLACE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET lock_timeout = 5; END $$; SELECT f()
    B: SHOW lock_timeout
    A: SHOW lock_timeout`,
  },
  'a temporary function': {
    servers: 2,
    setup: '',
    steps: `
    A: CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '3MB', false) $$
    B: SELECT pg_temp.f()
    A: SELECT pg_temp.f()
    B: SHOW work_mem
    A: SHOW work_mem`,
  },
  'code that deallocates what was prepared': {
    setup: `CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$`,
    steps: `
    A: \\parse s SELECT 1 AS a
    B: \\parse s SELECT 2 AS a
    A: PREPARE p AS SELECT 3
    B: PREPARE p AS SELECT 4
    A: SELECT f()
    B: \\run s
    B: EXECUTE p
    A: EXECUTE p
    A: \\run s
    B: \\run s`,
  },
  'code that prepares': {
    setup: `CREATE FUNCTION f(t text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'PREPARE p AS SELECT ' || quote_literal(t); END $$`,
    steps: `
    A: SELECT f('a')
    B: SELECT f('b')
    A: EXECUTE p
    B: EXECUTE p`,
  },
  'an event trigger that sets': {
    setup: `RESET ROLE; CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '3MB'; END $$;
      CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()`,
    steps: `
    A: CREATE TABLE t (a int)
    B: SHOW work_mem
    A: SHOW work_mem`,
  },
  'SECURITY DEFINER code sets what its caller may not': {
    servers: 2,
    setup: `RESET ROLE; CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN SET log_statement = 'ddl'; END $$`,
    steps: `
    A: SELECT f()
    B: SHOW log_statement
    A: SHOW log_statement
    B: SELECT f()
    A: SELECT 1
    B: SHOW log_statement`,
  },
};

testScripts(PREPARED, () => stage);
testScripts(CODE, () => stage);
