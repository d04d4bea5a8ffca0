import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatDuration, parseBytes, parseDurationMs } from './quantity.ts';

test.each([
  ['16MB', 16 * 2 ** 20],
  ['512 kB', 512 * 1024],
  ['0B', 0],
  ['1.5GB', 1.5 * 2 ** 30],
])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each(['', '16', '16mb', '-1MB', '1e3MB', '16MB 2kB', '9999999999TB', '0.3B'])('%j is no size', (text) =>
  expect(parseBytes(text)).toBeUndefined(),
);

test.each([
  ['200ms', 200],
  ['1.2s', 1200],
  ['2min', 120_000],
  ['1h', 3_600_000],
])('%s is %d milliseconds', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

test.each(['', '5', '2 seconds', '-1s', '0.5ms', '1m'])('%j is no duration', (text) =>
  expect(parseDurationMs(text)).toBeUndefined(),
);

test('what is written of whole units is read back as it was', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1023 }), fc.constantFrom(1, 2 ** 10, 2 ** 20, 2 ** 30), (count, unit) => {
      expect(parseBytes(formatBytes(count * unit))).toBe(count * unit);
    }),
  );
});

test('a duration is written with at most two units', () => {
  expect([0, 999, 1000, 1500, 60_000, 200_000, 3_600_000, 7_500_000].map(formatDuration)).toEqual([
    '0ms',
    '999ms',
    '1s',
    '1.5s',
    '1min',
    '3min 20s',
    '1h',
    '2h 5min',
  ]);
});
