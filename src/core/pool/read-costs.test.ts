import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ReadCosts } from './read-costs.ts';

const UNKNOWN = Number.POSITIVE_INFINITY;

test('nothing is expected of a statement before it has run three times', () => {
  const costs = new ReadCosts();
  for (let run = 0; run < 3; run++) {
    expect(costs.expectedUs(7)).toBe(UNKNOWN);
    costs.observe(7, 40, 100);
  }
  expect(costs.expectedUs(7)).toBe(40);
});

test('one that is slow, or was large, shares with nobody until it has been quick, or small, for a while', () => {
  for (const [us, bytes, runs] of [
    [100_000, 100, 3],
    [40, 1_000_000, 1],
  ] as const) {
    const costs = new ReadCosts();
    for (let run = 0; run < 3; run++) costs.observe(7, 40, 100);
    for (let run = 0; run < runs; run++) costs.observe(7, us, bytes);
    expect(costs.expectedUs(7)).toBe(UNKNOWN);
    for (let run = 0; run < 100; run++) costs.observe(7, 40, 100);
    expect(costs.expectedUs(7)).toBeLessThan(100);
  }
});

test('a busy machine makes no statement slow: one late run among quick ones says little', () => {
  const costs = new ReadCosts();
  for (let run = 0; run < 200; run++) costs.observe(7, run % 10 === 9 ? 30_000 : 40, 100);
  expect(costs.expectedUs(7)).toBeLessThan(3000);
});

test('what is expected is within what was observed, whatever else takes its place', () => {
  const runs = fc.array(fc.tuple(fc.integer(), fc.nat(5000), fc.nat(40_000)), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(runs, (all) => {
      const costs = new ReadCosts();
      for (const [shape, us, bytes] of all) costs.observe(shape, us, bytes);
      for (const [shape] of all) {
        const expected = costs.expectedUs(shape);
        if (expected === UNKNOWN) continue;
        const own = all.filter(([other]) => other === shape).map(([, us]) => us);
        expect(expected).toBeGreaterThanOrEqual(Math.min(...own) - 1);
        expect(expected).toBeLessThanOrEqual(Math.min(10_000, Math.max(...own) + 1));
      }
    }),
  );
});
