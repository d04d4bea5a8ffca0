import { expect, test } from 'vitest';
import { Freshness } from './freshness.ts';

test('what changed between two looks happened between them, whatever the wall clock says', () => {
  const freshness = new Freshness();
  expect(freshness.ageMs('up', 'a', 200, 1000)).toBe(200);
  expect(freshness.ageMs('up', 'a', 700, 1500)).toBe(700);
  // The clock was put forward by an hour: the stamp is new, so it is at most as old as the look before.
  expect(freshness.ageMs('up', 'b', 3_600_000, 2000)).toBe(500);
  // And back by an hour: a stamp from the future is from now.
  expect(freshness.ageMs('up', 'c', -3_600_000, 2100)).toBe(0);
  // A stamp that stays is not made fresh by a clock that goes back.
  expect(freshness.ageMs('up', 'c', -3_600_000, 9100)).toBe(7000);
});

test('what is forgotten begins anew', () => {
  const freshness = new Freshness();
  freshness.ageMs('1', 'a', 0, 0);
  freshness.ageMs('2', 'a', 0, 0);
  freshness.keep(new Set(['2']));
  expect(freshness.ageMs('1', 'a', 0, 100)).toBe(0);
  expect(freshness.ageMs('2', 'a', 0, 100)).toBe(100);
});
