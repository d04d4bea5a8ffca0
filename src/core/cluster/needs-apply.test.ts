import { expect, test } from 'vitest';
import { needsApply } from './needs-apply.ts';

const object = (spec: unknown) => ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a' }, spec });

test.each([
  ['what the server filled in', { a: 1, b: { c: 'x' } }, { b: { c: 'x' } }, false],
  ['a value that differs', { a: 1 }, { a: 2 }, true],
  ['a field that is missing', {}, { a: 'x' }, true],
  ['nothing, left out on the wire', {}, { a: '', b: 0, c: false }, false],
  ['a quantity in another way', { cpu: '1' }, { cpu: '1000m' }, false],
  ['another quantity', { cpu: '1' }, { cpu: '1001m' }, true],
  ['a list with one more', { list: [1, 2] }, { list: [1] }, true],
  ['a list whose items have defaults', { list: [{ a: 1, b: 2 }] }, { list: [{ a: 1 }] }, false],
  ['an empty object, which the server may drop', {}, { emptyDir: {} }, false],
])('%s', (_, live, wanted, expected) => {
  expect(needsApply(object(live), object(wanted))).toBe(expected);
});

test('what is not there', () => {
  expect(needsApply(undefined, object({}))).toBe(true);
});
