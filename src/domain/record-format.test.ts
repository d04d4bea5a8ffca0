import { expect, test } from 'vitest';
import { formatOf, formatToWrite, refusalOf } from './record-format.ts';

test('a record without a format, or with none that makes sense, is of the first', () => {
  for (const json of [{}, null, { format: 'new' }, { format: 0 }, { format: 1.5 }]) expect(formatOf(json)).toBe(1);
});

test('what is older or the same is read; what is newer is refused, with both numbers', () => {
  expect(refusalOf({ format: 1 }, 2)).toBeUndefined();
  expect(refusalOf({ format: 2 }, 2)).toBeUndefined();
  expect(refusalOf({ format: 3 }, 2)).toBe('it is of format 3, and this release of Matriarch reads up to 2');
});

test('the format is raised only when every member reads it', () => {
  expect(formatToWrite([{ reads: 3 }, { reads: 3 }], 3)).toBe(3);
  expect(formatToWrite([{ reads: 3 }, { reads: 2 }], 3)).toBe(2);
  expect(formatToWrite([{ reads: 3 }, {}], 3)).toBe(1);
  expect(formatToWrite([], 2)).toBe(2);
  expect(formatToWrite([{ reads: 9 }], 2)).toBe(2);
});
