import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildHazards } from './build-hazards.ts';
import { ANY_EFFECT, EFFECT } from './effects.ts';
import { createHazards, NO_HAZARDS, UNREAD_HAZARDS } from './hazards.ts';
import { readStatement, type StatementFacts } from './read-statement.ts';

const {
  settings,
  prepared,
  temporary,
  locks,
  cursors,
  listen,
  unlisten,
  sequences,
  currval,
  library,
  seed,
  code,
  discard,
  catalog,
  ends,
  writes,
  begins,
  rollsBack,
  copies,
  messages,
  backend,
} = EFFECT;

function read(text: string, hazards = NO_HAZARDS): StatementFacts {
  const bytes = Buffer.from(text);
  return readStatement(bytes, 0, bytes.length, hazards);
}

/** Harmless texts, as token lists that can be written with anything between. */
const HARMLESS = [
  ['SELECT', 'a', '.', '"b"', '::', 'int', ',', "'c'", 'FROM', 't', 'WHERE', 'x', '>=', '$1', 'AND', 'y', '<>', '1.5'],
  ['SELECT', '$q$', ' SET x ', '$q$', ',', "E'\\''", 'FROM', 't', 'ORDER', 'BY', '1', 'LIMIT', '10'],
  ['VALUES', '(', '1', ',', "''", ')', ',', '(', '2', ',', "'it''s'", ')'],
  ['WITH', 'c', 'AS', '(', 'SELECT', '1', ')', 'TABLE', 'c'],
] as const;

/** Texts with effects, as token lists, with what has to be seen. */
const TEXTS: readonly { readonly tokens: readonly string[]; readonly effects: number }[] = [
  ...HARMLESS.map((tokens) => ({ tokens, effects: 0 })),
  { tokens: ['SET', 'search_path', '=', 'a', ',', 'b'], effects: settings | writes },
  { tokens: ['SET', 'app', '.', 'x', 'TO', "'1'"], effects: settings | writes },
  { tokens: ['SET', 'LOCAL', 'x', '=', '1'], effects: writes },
  {
    tokens: ['SELECT', 'pg_catalog', '.', 'set_config', '(', "'a'", ',', 'f', '(', '1', ',', '2', ')', ',', 'false', ')'],
    effects: settings | writes | EFFECT.unshared,
  },
  { tokens: ['SELECT', 'set_config', '(', "'a'", ',', 'f', '(', '1', ',', '2', ')', ',', 'true', ')'], effects: EFFECT.unshared },
  { tokens: ['INSERT', 'INTO', 't', 'VALUES', '(', '1', ')'], effects: writes },
  { tokens: ['SELECT', '*', 'INTO', 'x', 'FROM', 't'], effects: writes | temporary },
  { tokens: ['PREPARE', 'p', 'AS', 'SELECT', '1'], effects: prepared | writes },
  { tokens: ['EXPLAIN', '(', 'ANALYZE', ')', 'EXECUTE', 'p'], effects: prepared | writes },
  { tokens: ['DECLARE', 'c', 'CURSOR', 'WITH', 'HOLD', 'FOR', 'SELECT', '1'], effects: cursors | writes },
  { tokens: ['DECLARE', 'c', 'CURSOR', 'WITHOUT', 'HOLD', 'FOR', 'SELECT', '1'], effects: writes },
  { tokens: ['COPY', 't', 'FROM', 'STDIN'], effects: copies | writes },
  { tokens: ['UNLISTEN', '*'], effects: unlisten | writes },
  { tokens: ['DO', '$x$', 'anything', '$x$'], effects: code | ends | writes },
  {
    tokens: ['CREATE', 'FUNCTION', 'f', '(', ')', 'LANGUAGE', 'C', 'AS', "'l'"],
    effects: temporary | catalog | writes | EFFECT.library,
  },
  {
    tokens: ['CREATE', 'FUNCTION', 'f', '(', ')', 'AS', "'l'", 'LANGUAGE', "'c'"],
    effects: temporary | catalog | writes | EFFECT.library,
  },
  {
    tokens: ['CREATE', 'FUNCTION', 'f', '(', ')', 'AS', '$x$', 'SELECT 1', '$x$', 'LANGUAGE', 'sql'],
    effects: temporary | catalog | writes,
  },
  { tokens: ['DO', 'LANGUAGE', 'plpgsql', '$x$', 'anything', '$x$'], effects: code | ends | writes },
  { tokens: ['DO', '$x$', 'anything', '$x$', 'LANGUAGE', 'plperl'], effects: code | ends | writes | backend },
  { tokens: ['CREATE', 'VIEW', 'v', 'AS', 'SELECT', 'language'], effects: temporary | catalog | writes },
  { tokens: ['SELECT', 'nextval', '(', "'s'", ')'], effects: sequences | writes },
  { tokens: ['SELECT', '1', 'FROM', 't', 'FOR', 'NO', 'KEY', 'UPDATE'], effects: writes },
];

const text = fc.constantFrom(...TEXTS);
/** Dollar quotes are one token, and a sign that follows an operator would join it. */
const between = fc.constantFrom(
  ' ',
  '\n',
  '\t ',
  ' /* SET x = 1; */ ',
  ' /* a /* nested ; */ */ ',
  ' -- LISTEN a;\n',
  '\r\n',
  ' --\r',
);
const spread = fc
  .tuple(text, fc.array(between, { minLength: 40, maxLength: 40 }), fc.infiniteStream(fc.boolean()))
  .map(([{ tokens, effects }, spaces, upper]) => {
    let written = spaces[0] as string;
    let quoted = false;
    for (const [index, token] of tokens.entries()) {
      if (/^\$[a-z]+\$$/.test(token)) quoted = !quoted;
      const folds = /^[A-Za-z_]+$/.test(token) && !quoted;
      written += folds && upper.next().value ? token.toUpperCase() : token;
      if (!quoted) written += spaces[(index + 1) % spaces.length];
    }
    return { written, effects };
  });

describe('any text', () => {
  test('is read without an error, within its bounds, and the same again', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((one) => Buffer.from(one)),
      fc
        .array(
          fc.constantFrom(
            "'",
            '"',
            '$',
            '$a$',
            '/*',
            '*/',
            '--',
            '\n',
            '\\',
            ';',
            '(',
            ')',
            'e',
            'U&',
            'SET ',
            'set_config',
            ',',
            'true',
            'ä',
          ),
          { maxLength: 40 },
        )
        .map((parts) => Buffer.from(parts.join(''))),
    );
    fc.assert(
      fc.property(bytes, fc.nat(20), fc.nat(20), (one, before, after) => {
        const alone = readStatement(one, 0, one.length, NO_HAZARDS);
        // What surrounds a text in its message is not read.
        const padded = Buffer.concat([
          Buffer.from("'$a$(".repeat(4).slice(0, before)),
          one,
          Buffer.from("';SET x=1".repeat(3).slice(0, after)),
        ]);
        const start = Math.min(before, 20);
        expect(readStatement(padded, start, start + one.length, NO_HAZARDS)).toEqual(
          alone.named === null
            ? alone
            : { ...alone, named: { ...alone.named, start: alone.named.start + start, end: alone.named.end + start } },
        );
      }),
      { numRuns: 2000 },
    );
  });

  test('has its effects whatever stands between its tokens, and in any case', () => {
    fc.assert(
      fc.property(spread, ({ written, effects }) => {
        expect(read(written).effects).toBe(effects);
      }),
      { numRuns: 2000 },
    );
  });

  test('has no effect within literals and comments', () => {
    const hide = (inner: string) => [
      `SELECT '${inner.replaceAll("'", "''")}'`,
      `SELECT "${inner.replaceAll('"', '""')}"`,
      `SELECT $zz$${inner}$zz$`,
      `SELECT 1 /* ${inner} */`,
      `SELECT 1 -- ${inner.replaceAll(/[\r\n]/g, ' ')}`,
    ];
    fc.assert(
      fc.property(spread, ({ written }) => {
        for (const hidden of hide(written)) {
          const facts = read(hidden);
          if (facts.effects !== ANY_EFFECT) expect(facts.effects, hidden).toBe(0);
          else expect(hidden).toContain("\\'");
        }
      }),
    );
  });

  test('does behind a semicolon what it does alone', () => {
    fc.assert(
      fc.property(spread, spread, (a, b) => {
        const facts = read(`${a.written}\n;${b.written}`);
        expect(facts.effects).toBe(a.effects | b.effects | writes);
        expect(facts.statements).toBe(2);
      }),
    );
  });

  test('takes time in proportion to its length', () => {
    for (const part of [
      '(',
      ';',
      '$a',
      '$a$ $b',
      '/*',
      "'",
      '"',
      '\\',
      '@',
      'set_config(',
      "E'",
      'BEGIN ATOMIC;',
      '(;',
      'E',
      'DO/**/',
    ]) {
      const long = part.repeat(Math.ceil(100_000 / part.length));
      expect(() => read(long)).not.toThrow();
      expect(() => read(`CREATE ${long}`)).not.toThrow();
    }
  });
});

test.each([
  ['SELECT 1', 0],
  ['(SELECT 1)', 0],
  ['SELECT 1; SELECT 2', writes],
  ['BEGIN', begins | writes],
  ['START TRANSACTION READ ONLY', begins | writes],
  ['COMMIT AND CHAIN', ends | begins | writes],
  ['COMMIT AND NO CHAIN', ends | writes],
  ['END', ends | writes],
  ['SELECT CASE WHEN true THEN 1 END', 0],
  ['ROLLBACK TO SAVEPOINT a', rollsBack | writes],
  ["ROLLBACK PREPARED 'x'", rollsBack | ends | writes],
  ["PREPARE TRANSACTION 'x'", ends | writes],
  ["COMMIT PREPARED 'x'", ends | writes],
  ["LOAD 'auto_explain'", library | writes],
  ['SELECT setseed(0.5)', seed | writes],
  ['SET seed = 0.5', seed | settings | writes],
  ['SET client_min_messages = error', messages | settings | writes],
  ["SELECT currval('s'), lastval()", currval],
  ['LISTEN "A"', listen | writes],
  ['DISCARD PLANS', discard | writes],
  ['CALL p()', code | ends | writes],
  ['SELEC 1', code | writes],
  ['CREATE INDEX ON t (a)', catalog | temporary | writes],
  ['SELECT pg_try_advisory_lock(1)', locks | writes],
  ['SELECT pg_advisory_xact_lock(1)', writes],
  ["SELECT pg_create_physical_replication_slot('x', true, true)", backend | writes],
  ["COPY t TO '/tmp/x'", writes],
  ['EXPLAIN SELECT 1', 0],
  ['EXPLAIN ANALYZE SELECT 1', writes],
  ['SELECT 1WHERE 2=2AND nextval(NULL)IS NULL', sequences | writes],
  ['SELECT pg_temp.f()', temporary | code],
  ['EXPLAIN ANALYZE CREATE TABLE x AS EXECUTE p', prepared | temporary | catalog | writes],
  ['SELECT * FROM pg_settings', 0],
  ['SET transaction_read_only = 0', writes],
  ['CREATE RULE r AS ON INSERT TO t DO ALSO (NOTIFY a; NOTIFY b)', catalog | temporary | writes],
] as const)('%s', (one, effects) => {
  expect(read(one).effects).toBe(effects);
});

test.each([
  ["SELECT 'a\\'; SET x = 1 --'"],
  ["SELECT 'a\\''; SET x = 1 --'"],
  ['SELECT U&"\\0061"'],
  ["SELECT E'\\\\' \n '\\'"],
  ["SELECT '\u00e4\\\\'"],
])('what can be read in two ways may do anything: %s', (one) => {
  expect(read(one)).toMatchObject({ effects: ANY_EFFECT, allSettings: true, named: null });
});

test.each([
  ["SELECT 'C:\\dir', 'a\\\\'", 0],
  ["SELECT E'a\\'b', e'\\\\'", 0],
  ["SELECT '%\\_%' LIKE 'a'", 0],
])('a backslash that is no riddle: %s', (one, effects) => {
  expect(read(one).effects).toBe(effects);
});

test.each([
  ['SET search_path = a', ['search_path'], false],
  ['SET SESSION "Work_Mem" TO 1', ['work_mem'], false],
  ['SET a.B.c = 1', ['a.b.c'], false],
  ['SET TIME ZONE LOCAL', ['timezone'], false],
  ["SET NAMES 'x'", ['client_encoding'], false],
  ["SET SCHEMA 'x'", ['search_path'], false],
  ['SET XML OPTION DOCUMENT', ['xmloption'], false],
  ['SET ROLE NONE', ['role'], false],
  ['RESET ROLE', ['role'], false],
  ['SET SESSION AUTHORIZATION DEFAULT', ['session_authorization', 'role'], false],
  ['RESET ALL', [], true],
  ['SET a = 1; SET LOCAL b = 1; SET a = 2; RESET c', ['a', 'c'], false],
  ["SELECT set_config('A.b', $1, false), set_config('it''s', '', $1)", ['a.b', "it's"], false],
  ["SELECT set_config('a'::text, '', false)", ['a'], false],
  ["SELECT set_config('abc'::char, '', false)", [], true],
  ["SELECT set_config($1, '', false)", [], true],
  ["SELECT set_config('a', '', true)", [], false],
  ["SELECT set_config('a', ''", ['a'], false],
] as const)('the settings of %s', (one, names, all) => {
  expect(read(one)).toMatchObject({ settings: names, allSettings: all });
});

test.each([
  ['PREPARE p AS SELECT 1', 'prepare', 'p', 'p'],
  ['PREPARE "P""q" (int) AS SELECT 1', 'prepare', 'P"q', '"P""q"'],
  [' /**/ execute P(1)', 'execute', 'p', 'P'],
  ['EXPLAIN ANALYZE EXECUTE p', 'execute', 'p', 'p'],
  ['CREATE TABLE x AS EXECUTE p(1)', 'execute', 'p', 'p'],
  ['DEALLOCATE p;', 'deallocate', 'p', 'p'],
  ['DEALLOCATE PREPARE p', 'deallocate', 'p', 'p'],
  ['DEALLOCATE prepare', 'deallocate', 'prepare', 'prepare'],
  ['DEALLOCATE ALL', 'deallocateAll', '', 'ALL'],
  ['DEALLOCATE "all"', 'deallocate', 'all', '"all"'],
  [`EXECUTE ${'ä'.repeat(40)}`, 'execute', 'ä'.repeat(31), 'ä'.repeat(40)],
] as const)('the name in %s', (one, verb, name, raw) => {
  const { named } = read(one);
  expect(named).toMatchObject({ verb, name });
  expect(Buffer.from(one).toString('utf8', named?.start, named?.end)).toBe(raw);
});

test.each([
  'EXECUTE p; SELECT 1',
  'CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION f()',
  'GRANT EXECUTE ON FUNCTION f() TO x',
  "PREPARE TRANSACTION 'x'",
])('no name to replace in %s', (one) => expect(read(one).named).toBeNull());

test('the channels of UNLISTEN', () => {
  expect(read('UNLISTEN A; UNLISTEN "B"').unlisten).toEqual(['a', 'B']);
  expect(read('UNLISTEN a; UNLISTEN *').unlisten).toBe('all');
  expect(read('DISCARD ALL').unlisten).toBe('all');
  expect(read('SELECT 1').unlisten).toBeNull();
});

test('a body of statements is one statement, and the next is read', () => {
  const facts = read('CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END; LISTEN a');
  expect(facts.statements).toBe(2);
  expect(facts.effects & listen).not.toBe(0);
});

test('the facts of frequent texts are one object', () => {
  expect(read('SELECT 1')).toBe(read('SELECT b FROM t WHERE id = 4'));
});

test('names of a database: folded, quoted, operators, cut, and outside ASCII', () => {
  const long = 'n'.repeat(63);
  const hazards = createHazards({
    names: new Map([
      ['low', { effects: locks, writeEffects: 0 }],
      ['High', { effects: locks, writeEffects: 0 }],
      [long, { effects: locks, writeEffects: 0 }],
      ['@@@', { effects: locks, writeEffects: 0 }],
      ['größe', { effects: locks, writeEffects: 0 }],
      ['written', { effects: 0, writeEffects: sequences }],
      ['sets', { effects: settings, writeEffects: 0 }],
    ]),
  });
  for (const found of ['LOW()', '"low"()', 'a.low', '"High"', `${long}and_more`, '1 @@@ 2', '1 @@@- 2', 'GRÖSSE', '"größe"']) {
    expect(read(`SELECT ${found}`, hazards).effects & locks, found).toBe(locks);
  }
  for (const other of ['"LOW"', 'High', 'lo', 'lower', '1 @@ 2', "'low'"])
    expect(read(`SELECT ${other}`, hazards).effects, other).toBe(0);
  expect(read('SELECT * FROM written', hazards).effects).toBe(0);
  expect(read('INSERT INTO written VALUES (1)', hazards).effects).toBe(sequences | writes);
  expect(read('SELECT sets()', hazards)).toMatchObject({ allSettings: true, settings: [] });
  expect(read('SELECT a FROM b', UNREAD_HAZARDS).effects & code).toBe(code);
  expect(read('SELECT 1', UNREAD_HAZARDS).effects).toBe(0);
});

test('a chain of names, however long and round, is followed to its end', () => {
  const row = { language: null, extension: null, body: null };
  const rows = Array.from({ length: 5000 }, (_, index) => ({
    ...row,
    kind: 'use',
    name: `n${index}`,
    used: `n${(index + 1) % 5000}`,
  }));
  const hazards = buildHazards([...rows, { ...row, kind: 'use', name: 'n77', used: 'nextval' }]);
  expect(read('SELECT n78', hazards).effects).toBe(sequences | writes);
});
