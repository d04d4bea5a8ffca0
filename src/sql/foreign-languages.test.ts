import { expect, test } from 'vitest';
import { buildHazards } from './build-hazards.ts';
import { EFFECT } from './effects.ts';
import { readStatement } from './read-statement.ts';

/** What calling a function does, by the language and the body that the catalog has of it. */
function effectsOf(language: string, body: string | null, extension: string | null = null): number {
  const hazards = buildHazards([{ kind: 'function', name: 'f', used: null, language, extension, body }]);
  const text = Buffer.from('SELECT f()');
  return readStatement(text, 0, text.length, hazards).effects;
}

test.each([
  ['c', null],
  ['plpython3u', 'GD["n"] = 1'],
  ['plpython3u', 'global n; n = 1'],
  ['plperl', '$_SHARED{n} = 1;'],
  ['plperlu', 'our $n = 1;'],
  ['plperl', '$Counter::n++;'],
  ['pltcl', 'global n; set n 1'],
  ['pltclu', 'set ::n 1'],
  ['plv8', null],
])('a function in %s may keep something to itself: %s', (language, body) => {
  expect(effectsOf(language, body) & (EFFECT.backend | EFFECT.code)).toBe(EFFECT.backend | EFFECT.code);
});

test.each([
  ['plpython3u', 'return value + 1'],
  ['plperl', 'my $n = shift; return $n + 1;'],
  ['pltcl', 'return [expr $1 + 1]'],
  ['internal', null],
  ['plpgsql', 'BEGIN RETURN 1; END'],
])('a function in %s has nothing to keep: %s', (language, body) => {
  expect(effectsOf(language, body) & EFFECT.backend).toBe(0);
});

test('a function in C that belongs to an extension is taken for one that a probe understands', () => {
  expect(effectsOf('c', null, 'timescaledb') & (EFFECT.backend | EFFECT.code)).toBe(EFFECT.code);
  expect(effectsOf('c', null, 'citext') & EFFECT.code).toBe(0);
});
