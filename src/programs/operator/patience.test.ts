import { expect, test } from 'vitest';
import { Patience } from './patience.ts';

test('what moves is looked at soon, what waits for the same ever less often, what rests seldom', () => {
  const patience = new Patience();
  const looks = Array.from({ length: 12 }, () => patience.msUntilNext('a', 'pods'));
  expect(looks[0]).toBe(3000);
  expect(looks).toEqual([...looks].sort((one, other) => one - other));
  expect(looks.at(-1)).toBe(60_000);
  expect(patience.msUntilNext('b', 'pods')).toBe(3000);
  expect(patience.msUntilNext('a', 'a switchover')).toBe(3000);
  expect(patience.msUntilNext('a', null)).toBe(60_000);
  expect(patience.msUntilNext('a', 'a switchover')).toBe(3000);
});
