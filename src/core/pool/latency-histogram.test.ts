import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LatencyHistogram } from './latency-histogram.ts';

test('nothing observed', () => {
  const histogram = new LatencyHistogram();
  expect([histogram.count, histogram.sumUs, histogram.quantile(0.5)]).toEqual([0, 0, 0]);
  expect([...histogram.cumulative(10)].every(({ count }) => count === 0)).toBe(true);
});

test('a quantile is off by at most a quarter', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 9e8, noNaN: true }), { minLength: 1, maxLength: 200 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (durations, q) => {
        const histogram = new LatencyHistogram();
        for (const us of durations) histogram.observe(us);
        const exact = durations.toSorted((a, b) => a - b)[Math.ceil(q * durations.length) - 1] ?? 0;
        expect(histogram.quantile(q)).toBeGreaterThanOrEqual((exact / 1.25) * 0.999);
        expect(histogram.quantile(q)).toBeLessThanOrEqual(exact * 1.25 * 1.001);
      },
    ),
  );
});

test('what is out of range is counted at the ends', () => {
  const histogram = new LatencyHistogram();
  for (const us of [-5, 0, 0.3, 1, 1e12]) histogram.observe(us);
  const buckets = [...histogram.cumulative(1)];
  expect(buckets[0]).toEqual({ upToUs: 1, count: 4 });
  expect(buckets.at(-2)).toMatchObject({ count: 4 });
  expect(buckets.at(-1)).toEqual({ upToUs: Infinity, count: 5 });
});

test('fewer buckets hold the same', () => {
  const histogram = new LatencyHistogram();
  for (let us = 1; us < 1e6; us *= 1.7) histogram.observe(us);
  const all = new Map([...histogram.cumulative(1)].map(({ upToUs, count }) => [upToUs, count]));
  for (const { upToUs, count } of histogram.cumulative(4)) expect(all.get(upToUs)).toBe(count);
});
