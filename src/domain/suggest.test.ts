import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closest, suggest } from './suggest.ts';

const COMMANDS = ['up', 'down', 'status', 'switchover', 'failover', 'restart', 'reinit', 'pause', 'resume', 'config', 'psql'];

test.each([
  ['statsu', 'status'],
  ['swichover', 'switchover'],
  ['STATUS', 'status'],
  ['confg', 'config'],
  ['pqsl', 'psql'],
])('%s was meant to be %s', (word, meant) => expect(closest(word, COMMANDS)).toBe(meant));

test('a word that resembles none gets no suggestion', () => {
  expect(suggest('vacuum', COMMANDS)).toBe('');
  expect(closest('', COMMANDS)).toBeUndefined();
});

test('a known word is always its own best match', () => {
  fc.assert(
    fc.property(fc.constantFrom(...COMMANDS), (word) => {
      expect(closest(word, COMMANDS)).toBe(word);
    }),
  );
});
