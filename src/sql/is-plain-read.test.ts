import { expect, test } from 'vitest';
import { buildHazards } from './build-hazards.ts';
import { NO_HAZARDS, UNREAD_HAZARDS } from './hazards.ts';
import { isPlainRead, mayBeginRead } from './is-plain-read.ts';
import { readStatement } from './read-statement.ts';
import { shapeOf } from './shape-of.ts';

const row = { used: null, language: null, extension: null, body: null };
const OWN = buildHazards([
  { ...row, kind: 'function', name: 'own', language: 'sql', body: 'SELECT 1' },
  { ...row, kind: 'function', name: '+++', language: 'c', extension: 'cube' },
  { ...row, kind: 'use', name: 'seen', used: 'own' },
  { ...row, kind: 'unshared', name: 'fleeting' },
  { ...row, kind: 'use', name: 'seen_fleeting', used: 'fleeting' },
]);

function isPlain(text: string, hazards = OWN): boolean {
  const bytes = Buffer.from(text);
  return mayBeginRead(bytes[0]) && isPlainRead(readStatement(bytes, 0, bytes.length, hazards));
}

test.each([
  'SELECT 1',
  'select abalance from pgbench_accounts where aid = 7',
  'VALUES (1), (2)',
  'SELECT count(*), max(a) FROM t JOIN u USING (id) WHERE lower(b) LIKE $1 ORDER BY 1 LIMIT 3',
  "SELECT now(), current_setting('work_mem')",
])('a plain read: %s', (text) => {
  expect(isPlain(text)).toBe(true);
});

test.each([
  ['a lock clause', 'SELECT 1 FROM t FOR UPDATE', 'SELECT 1 FROM t FOR KEY SHARE', 'SELECT 1 FROM t FOR NO KEY UPDATE'],
  ['a write', 'INSERT INTO t VALUES (1)', 'SELECT 1 INTO x', 'WITH d AS (DELETE FROM t RETURNING 1) SELECT 1 FROM d'],
  [
    'what is no SELECT',
    'BEGIN',
    'SHOW work_mem',
    'SET a.b = 1',
    'CALL p()',
    'DO $$ $$',
    'COPY t TO STDOUT',
    'EXECUTE p',
    'LISTEN x',
  ],
  ['several', 'SELECT 1; SELECT 2', 'SELECT 1; COMMIT'],
  ['locks', 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_xact_lock(1)', 'SELECT pg_try_advisory_lock(1)'],
  ['settings', "SELECT set_config('a.b', '1', false)", "SELECT set_config('a.b', '1', true)"],
  ['volatile functions', 'SELECT pg_sleep(1)', 'SELECT random()', 'SELECT clock_timestamp()', "SELECT nextval('s')"],
  ['of one backend', 'SELECT pg_backend_pid()', "SELECT currval('s')", 'SELECT * FROM pg_stat_activity'],
  ['functions of the database', 'SELECT own()', 'SELECT 1 +++ 2', 'SELECT * FROM seen', 'SELECT "own"()'],
  ['unlogged and foreign tables', 'SELECT * FROM fleeting', 'SELECT * FROM seen_fleeting'],
  ['two readings', String.raw`SELECT 'a\''`],
])('no plain read: %s', (_, ...texts) => {
  for (const text of texts) expect(isPlain(text), text).toBe(false);
});

test('before the catalog is read there is no name that may be used', () => {
  expect(isPlain('SELECT a FROM t', UNREAD_HAZARDS)).toBe(false);
  expect(isPlain('SELECT a FROM t', NO_HAZARDS)).toBe(true);
});

test('the shape is that of all texts that differ in literals', () => {
  const shape = (text: string) => shapeOf(Buffer.from(text), 0, text.length);
  expect(shape("SELECT a FROM t WHERE b = 17 AND c = 'x'")).toBe(shape("SELECT a FROM t WHERE b = 4 AND c = 'longer'"));
  expect(shape('SELECT a FROM t')).not.toBe(shape('SELECT a FROM u'));
  expect(shape("SELECT 'never closed")).not.toBe(0);
});
