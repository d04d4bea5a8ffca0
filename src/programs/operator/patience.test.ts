import { expect, test } from 'vitest';
import { Patience } from './patience.ts';

test('what moves is looked at soon, what waits for the same ever less often, what rests seldom', () => {
  const patience = new Patience();
  const after = (seconds: number, what: string | null, key = 'a') => patience.msUntilNext(key, what, seconds * 1000);
  expect([0, 0, 5, 20, 60, 1000].map((seconds) => after(seconds, 'pods'))).toEqual([3000, 3000, 3000, 10_000, 30_000, 60_000]);
  expect(after(1000, 'pods', 'b')).toBe(3000);
  expect(after(1001, 'a switchover')).toBe(3000);
  expect(after(1002, null)).toBe(60_000);
  expect(after(1003, 'a switchover')).toBe(3000);
});
