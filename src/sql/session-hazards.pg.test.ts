import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import type { TestServer } from '#adapters/postgres/testing/test-server.ts';
import { buildHazards, type HazardRow } from './build-hazards.ts';
import { ANY_EFFECT, EFFECT } from './effects.ts';
import type { Hazards } from './hazards.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { readStatement } from './read-statement.ts';
import { HAZARD_EPOCH_QUERY, SESSION_HAZARDS_QUERY } from './session-hazards-query.ts';
import { HAZARD_FIXTURE } from './testing/hazard-fixture.ts';
import { CLEAN, LEAVING } from './testing/hazard-statements.ts';

// PostgreSQL itself says what a statement left behind: its session is read in full before and after, and every difference must have
// been announced by the bits of the texts.

let servers: TestServers;
let server: TestServer;
let hazards: Hazards;

const CUSTOM = 'app.tenant_id app.quoted session.odd local.odd a.b app.s app.t app.u app.p app.custom app.stable app.immutable'
  .concat(' app.atomic app.trigger app.default app.rule app.view app.from_table app.local app.tenant')
  .split(' ');

beforeAll(async () => {
  servers = await TestServers.open();
  server = await servers.primary('n1');
  await server.sql(HAZARD_FIXTURE);
  hazards = buildHazards((await server.sql(SESSION_HAZARDS_QUERY)) as unknown as HazardRow[]);
});
afterAll(() => servers.end());

type Session = Record<string, unknown>;

const SNAPSHOTS: Readonly<Record<string, string>> = {
  settings: `SELECT name, setting FROM pg_catalog.pg_settings WHERE name NOT LIKE ALL ('{transaction%,plpgsql.%}') ORDER BY 1`,
  custom: `SELECT n AS name, NULLIF(pg_catalog.current_setting(n, true), '') AS setting FROM pg_catalog.unnest('{${CUSTOM.join()}}'::pg_catalog.text[]) n`,
  identity: 'SELECT session_user, current_user',
  prepared: 'SELECT name FROM pg_catalog.pg_prepared_statements ORDER BY 1',
  temporary: 'SELECT relname FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.pg_my_temp_schema() ORDER BY 1',
  locks: `SELECT classid, objid, mode FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid() ORDER BY 1, 2`,
  cursors: 'SELECT name FROM pg_catalog.pg_cursors WHERE is_holdable ORDER BY 1',
  listen: 'SELECT pg_catalog.pg_listening_channels() AS channel ORDER BY 1',
  sequences: 'SELECT pg_catalog.lastval()',
};

async function look(client: pg.Client): Promise<Session> {
  const session: Session = {};
  for (const [part, text] of Object.entries(SNAPSHOTS)) {
    session[part] = await client.query(text).then(
      ({ rows }) => rows,
      (error: { code: string }) => error.code,
    );
  }
  return session;
}

/** Bits of which one has to be there. */
const ANNOUNCED: Readonly<Record<string, number>> = {
  settings: EFFECT.settings,
  custom: EFFECT.settings,
  identity: EFFECT.settings,
  prepared: EFFECT.prepared,
  temporary: EFFECT.temporary,
  locks: EFFECT.locks,
  cursors: EFFECT.cursors,
  listen: EFFECT.listen | EFFECT.unlisten,
  sequences: EFFECT.sequences,
};

const PROBED =
  Object.values(ANNOUNCED).reduce((all, bits) => all | bits, 0) |
  EFFECT.code |
  EFFECT.discard |
  EFFECT.seed |
  EFFECT.library |
  EFFECT.backend;

function facts(text: string) {
  const bytes = Buffer.from(text);
  return readStatement(bytes, 0, bytes.length, hazards);
}

/** The parts of the session that changed, with the names of the settings. */
async function run(texts: readonly string[]): Promise<{ parts: string[]; settings: string[] }> {
  const client = await server.connect();
  try {
    const before = await look(client);
    for (const text of texts) await client.query(text.replace(/^COPY \((.*)\) TO STDOUT.*/, '$1'));
    const after = await look(client);
    const parts = Object.keys(SNAPSHOTS).filter((part) => JSON.stringify(before[part]) !== JSON.stringify(after[part]));
    const settings = ['settings', 'custom'].flatMap((part) => {
      const old = before[part] as { name: string; setting: string | null }[];
      const now = after[part] as { name: string; setting: string | null }[];
      return now.filter(({ name, setting }) => (old.find((one) => one.name === name)?.setting || null) !== (setting || null));
    });
    return { parts, settings: settings.map(({ name }) => name.toLowerCase()) };
  } finally {
    await client.end();
  }
}

/** What follows from others, or from the session being looked at. */
const DERIVED = ['is_superuser', 'in_hot_standby'];

describe('what a statement leaves in its session was announced', () => {
  test.each(LEAVING.map((one) => (typeof one === 'string' ? [one] : one)).map((texts) => ({ texts, name: texts.join(' | ') })))(
    '$name',
    async ({ texts }) => {
      const { parts, settings } = await run(texts);
      const read = texts.map(facts);
      const effects = read.reduce((all, one) => all | one.effects, 0);
      const anything = (effects & EFFECT.code) !== 0;
      expect(effects & PROBED).not.toBe(0);
      for (const part of parts) expect(effects & ((ANNOUNCED[part] as number) | EFFECT.code), part).not.toBe(0);
      const named = read.flatMap((one) => one.settings);
      const all = anything || read.some(({ allSettings }) => allSettings);
      for (const setting of settings.filter((one) => !DERIVED.includes(one))) {
        // A setting with a dot is in no list of the server's: only those that are named can be read back.
        const computed = texts.some((text) => /set_config\((k|'app' \|\||E'|'app'\n)|U&"|query_to|dynamic|\$\$/.test(text));
        const known =
          named.includes(setting) || hazards.settings.includes(setting) || (!setting.includes('.') && all) || computed;
        expect(known, setting).toBe(true);
      }
      const writes = texts.length === 1 && (await assignsTransaction(texts[0] as string));
      if (writes) expect(effects & EFFECT.writes, 'writes').not.toBe(0);
    },
  );
});

describe('what leaves nothing costs no probe', () => {
  test.each(CLEAN.map((one) => (typeof one === 'string' ? [one] : one)).map((texts) => ({ texts, name: texts.join(' | ') })))(
    '$name',
    async ({ texts }) => {
      expect((await run(texts)).parts).toEqual([]);
      for (const text of texts) expect(facts(text).effects & PROBED, text).toBe(0);
      if (texts.length === 1 && (await assignsTransaction(texts[0] as string))) {
        expect(facts(texts[0] as string).effects & EFFECT.writes).not.toBe(0);
      }
    },
  );
});

/** Whether a statement writes, by the transaction id that it is given for it. */
async function assignsTransaction(text: string): Promise<boolean> {
  if (/\b(BEGIN|COMMIT|CALL|DISCARD)\b/.test(text)) return false;
  const client = await server.connect();
  try {
    await client.query('BEGIN');
    await client.query(text.replace(/^COPY \((.*)\) TO STDOUT.*/, '$1')).catch(() => {});
    const answer = await client.query('SELECT pg_catalog.pg_current_xact_id_if_assigned() AS id').catch(() => ({ rows: [] }));
    return ((answer.rows as { id: string | null }[])[0]?.id ?? null) !== null;
  } finally {
    await client.end();
  }
}

test('the names of settings with a dot are taken from the code of the database', () => {
  const names = ['app.atomic', 'app.custom', 'app.default', 'app.immutable', 'app.rule', 'app.stable', 'app.trigger', 'app.view'];
  expect(hazards.settings).toEqual(names);
});

test('any role can read the hazards, whatever its search path', async () => {
  const client = await server.connect();
  await client.query(
    `CREATE FUNCTION other.hijack(name, name) RETURNS bool LANGUAGE sql AS 'SELECT false';
     CREATE OPERATOR other.= (LEFTARG = name, RIGHTARG = name, FUNCTION = other.hijack);
     GRANT USAGE ON SCHEMA other TO visitor; SET ROLE visitor; SET search_path = other, pg_catalog, public`,
  );
  const rows = (await client.query(SESSION_HAZARDS_QUERY)).rows as HazardRow[];
  await client.query('RESET ROLE; DROP FUNCTION other.hijack CASCADE');
  await client.end();
  const again = buildHazards(rows);
  const bytes = Buffer.from('SELECT * FROM over_setting_view');
  expect(readStatement(bytes, 0, bytes.length, again).effects).toBe(facts('SELECT * FROM over_setting_view').effects);
  expect(again.settings).toEqual(hazards.settings);
});

test.each([
  'CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS $$SELECT 1$$',
  'CREATE OR REPLACE FUNCTION fresh() RETURNS int LANGUAGE sql AS $$SELECT 2$$',
  'ALTER FUNCTION fresh() RENAME TO fresher',
  'DROP FUNCTION fresher()',
  'CREATE VIEW fresh AS SELECT 1 AS a',
  'CREATE OR REPLACE VIEW fresh AS SELECT 2 AS a',
  'ALTER TABLE plain ALTER COLUMN v SET DEFAULT 7',
  'ALTER TABLE plain ALTER COLUMN v DROP DEFAULT',
  'ALTER TABLE plain ADD COLUMN d checked_int',
  'ALTER TABLE plain RENAME TO plainer',
  'CREATE TRIGGER late BEFORE INSERT ON plainer FOR EACH ROW EXECUTE FUNCTION on_write()',
  'DROP TRIGGER late ON plainer',
  'CREATE POLICY late ON plainer USING (true)',
  'ALTER TABLE serial_t ALTER COLUMN v SET NOT NULL, ALTER COLUMN v ADD GENERATED ALWAYS AS IDENTITY',
  'CREATE EXTENSION pgcrypto',
])('the epoch tells of %s, and it was announced', async (text) => {
  const before = await server.value(HAZARD_EPOCH_QUERY);
  expect(await server.value(HAZARD_EPOCH_QUERY)).toBe(before);
  await server.sql(text);
  expect(await server.value(HAZARD_EPOCH_QUERY)).not.toBe(before);
  expect(facts(text).effects & EFFECT.catalog).not.toBe(0);
});

test('temporary tables and rows do not change the epoch', async () => {
  const client = await server.connect();
  const epoch = async () => (await client.query(HAZARD_EPOCH_QUERY)).rows[0]?.epoch as string;
  const before = await epoch();
  await client.query('CREATE TEMP TABLE tmp (id serial, t text DEFAULT 1); INSERT INTO cfg VALUES (1, 2)');
  expect(await epoch()).toBe(before);
  await client.end();
});

test('a database without code of its own has nothing but the server in its hazards', async () => {
  await server.sql('CREATE DATABASE empty');
  const client = await server.connect(undefined, { database: 'empty' });
  const { rows } = await client.query(SESSION_HAZARDS_QUERY);
  await client.end();
  const empty = buildHazards(rows as HazardRow[]);
  const bytes = Buffer.from('INSERT INTO anything SELECT * FROM whatever');
  expect(readStatement(bytes, 0, bytes.length, empty).effects).toBe(EFFECT.writes);
});

test('with an event trigger every definition may do anything', async () => {
  await server.sql(`CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN SET work_mem = '5MB'; END$$;
    CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION on_ddl()`);
  const rows = (await server.sql(SESSION_HAZARDS_QUERY)) as unknown as HazardRow[];
  await server.sql('DROP EVENT TRIGGER e; DROP FUNCTION on_ddl');
  const found = buildHazards(rows);
  for (const text of ['CREATE TABLE x ()', 'COMMENT ON TABLE x IS 1', 'GRANT ALL ON x TO y']) {
    const bytes = Buffer.from(text);
    expect(readStatement(bytes, 0, bytes.length, found).effects & EFFECT.code).not.toBe(0);
  }
  expect(facts("SELECT 'a\\'").effects).toBe(ANY_EFFECT);
});

test('what is quoted means itself, with either kind of backslash', async () => {
  const client = await server.connect();
  for (const conforming of ['on', 'off']) {
    await client.query(`SET standard_conforming_strings = ${conforming}; SET escape_string_warning = off`);
    for (const text of ["it's", 'a\\', "\\'; SET x = 1 --", '"', 'ä\n', "''", '', '$$']) {
      const [row] = (await client.query(`SELECT ${quoteLiteral(text)} AS ${quoteIdentifier(`${text}.`)}`)).rows;
      expect(row).toEqual({ [`${text}.`]: text });
      expect(facts(`SELECT ${quoteLiteral(text)}`).effects).toBe(0);
    }
  }
  await client.end();
});
