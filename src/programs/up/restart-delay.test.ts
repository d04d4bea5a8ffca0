import { expect, test } from 'vitest';
import { RestartDelay } from './restart-delay.ts';

test('an agent that had come up is started again at once', () => {
  const delay = new RestartDelay();
  expect([60_000, 60_000, 3_600_000].map((lived) => delay.after(lived))).toEqual([0, 0, 0]);
});

test('one that dies right after its start is started ever more seldom, but always again', () => {
  const delay = new RestartDelay();
  const delays = Array.from({ length: 12 }, () => delay.after(50));
  expect(delays.slice(0, 4)).toEqual([0, 100, 200, 400]);
  expect(delays.slice(-2)).toEqual([10_000, 10_000]);
  expect(delay.failures).toBe(12);
  expect(delay.after(10_000)).toBe(0);
  expect(delay.failures).toBe(1);
});
