import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromEntryName, toEntryName } from './key-names.ts';

test.each([
  ['identity', 'identity'],
  ['history/0000000007', 'history.0000000007'],
  ['members/a_b.c', 'members.a_5fb_2ec'],
])('%s is %s in a ConfigMap', (key, name) => {
  expect(toEntryName(key)).toBe(name);
});

test('every key has a name of its own that a ConfigMap takes, and comes back from it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (key) => {
      const name = toEntryName(key);
      expect(name).toMatch(/^[-._A-Za-z0-9]+$/);
      expect(fromEntryName(name)).toBe(key.toWellFormed());
    }),
  );
});

test.each(['A_', 'a_zz', 'a_ff', 'a_41'])('%s is no key', (name) => {
  expect(fromEntryName(name)).toBeUndefined();
});
