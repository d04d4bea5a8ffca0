import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatSync, isMemberSlot, NOBODY, parseSync, slotName, waitsFromTheStart } from './sync-names.ts';

const name = fc.string({ minLength: 1, maxLength: 20 });

test('a sync set is read back as it was written', () => {
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 9 }), (sync, k) => {
      expect(parseSync(formatSync({ sync, k }))).toEqual({ sync, k });
    }),
  );
  expect(formatSync({ sync: ['n1_3f9a2c', 'n2'], k: 1 })).toBe('ANY 1 ("n1_3f9a2c", "n2")');
  expect(formatSync({ sync: ['n1'], k: 0 })).toBe('');
  expect(parseSync('')).toEqual({ sync: [], k: 0 });
});

test('a set that asks for somebody and names nobody is waited for in vain, and no syntax error', () => {
  expect(formatSync({ sync: [], k: 1 })).toBe(formatSync(NOBODY));
});

test.each(['n1', '*', 'ANY 1 (n1)', 'FIRST 1 ("n1")', 'ANY 1 ("n1") ', 'ANY 01 ("n1")', '2 ("n1")'])(
  '%s is none that an agent wrote',
  (text) => {
    expect(parseSync(text)).toBeUndefined();
  },
);

test('slots of incarnations are legal and told from others', () => {
  expect(slotName('n-1_3F9a')).toBe('matriarch_n_1_3f9a');
  fc.assert(
    fc.property(name, (incarnation) => {
      expect(slotName(incarnation)).toMatch(/^[a-z0-9_]{1,63}$/);
      expect(isMemberSlot(slotName(incarnation))).toBe(true);
    }),
  );
  expect(isMemberSlot('pg_basebackup_123')).toBe(false);
});

test('from which release on commits wait from the first moment of a server', () => {
  const waiting = [130_021, 140_018, 150_013, 150_018, 160_009, 170_005, 180_000, 180_002];
  const not = [120_022, 130_020, 140_017, 150_012, 160_008, 170_004];
  expect(waiting.filter((version) => !waitsFromTheStart(version))).toEqual([]);
  expect(not.filter(waitsFromTheStart)).toEqual([]);
});
