import { expect, test } from 'vitest';
import { parseResourceQuantity } from './resource-quantity.ts';

test.each([
  ['10Gi', 10 * 2 ** 30],
  ['250m', 0.25],
  ['1.5', 1.5],
  ['2k', 2000],
  ['1e3', 1000],
  ['1E', 1e18],
  ['+1Mi', 2 ** 20],
])('%s', (text, value) => {
  expect(parseResourceQuantity(text)).toBe(value);
});

test.each(['', 'Gi', '1 Gi', '10GB', '1ki', '-1', '1e', '0x10'])('"%s" is none', (text) => {
  expect(parseResourceQuantity(text)).toBeUndefined();
});
