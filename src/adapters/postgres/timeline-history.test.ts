import { expect, test } from 'vitest';
import {
  forkOf,
  formatHistory,
  historyName,
  historyTimeline,
  PLACEHOLDER,
  parseHistory,
  parseSegmentName,
  segmentName,
  timelineBefore,
} from './timeline-history.ts';

const SEGMENT_BYTES = 16 * 1024 * 1024;
const LINEAGE = [
  { timeline: 1, end: 100n },
  { timeline: 4, end: 300n },
];

test('a history file names the ancestors; a placeholder names none', () => {
  expect(parseHistory('1\t0/3000148\tno recovery target specified\n\n4\t1/0\tbefore 2000-01-01\n')).toEqual([
    { timeline: 1, end: 0x3000148n },
    { timeline: 4, end: 0x1_0000_0000n },
  ]);
  expect(parseHistory(formatHistory(LINEAGE))).toEqual(LINEAGE);
  expect(parseHistory(PLACEHOLDER)).toBeUndefined();
  expect(parseHistory('not a history')).toBeUndefined();
});

test('file names are PostgreSQL’s', () => {
  expect(historyName(26)).toBe('0000001A.history');
  expect(historyTimeline('0000001A.history')).toBe(26);
  expect(historyTimeline('0000001A.history.draft')).toBeUndefined();
  expect(segmentName(2, 0x5_ff00_0000n, SEGMENT_BYTES)).toBe('0000000200000005000000FF');
  expect(parseSegmentName('0000000200000005000000FF', SEGMENT_BYTES)).toEqual({ timeline: 2, start: 0x5_ff00_0000n });
  expect(parseSegmentName('0000000200000005000000FF.partial', SEGMENT_BYTES)).toBeUndefined();
});

test('at a switch point a log is still on the parent; a byte later on the child', () => {
  expect(timelineBefore(100n, 7, LINEAGE)).toBe(1);
  expect(timelineBefore(101n, 7, LINEAGE)).toBe(4);
  expect(timelineBefore(300n, 7, LINEAGE)).toBe(4);
  expect(timelineBefore(301n, 7, LINEAGE)).toBe(7);
});

test.each([
  ['the same log', { timeline: 7, lsn: 400n }, LINEAGE, null],
  ['a part of it, on its timeline', { timeline: 7, lsn: 350n }, LINEAGE, null],
  ['an ancestor that ends where it parted', { timeline: 4, lsn: 300n }, LINEAGE.slice(0, 1), null],
  ['an ancestor that ends before', { timeline: 1, lsn: 90n }, [], null],
  ['an ancestor that went on', { timeline: 4, lsn: 310n }, LINEAGE.slice(0, 1), { timeline: 4, lsn: 300n }],
  ['another child of an ancestor, later', { timeline: 5, lsn: 500n }, [{ timeline: 1, end: 120n }], { timeline: 1, lsn: 100n }],
  ['another child of an ancestor, earlier', { timeline: 5, lsn: 500n }, [{ timeline: 1, end: 80n }], { timeline: 1, lsn: 80n }],
  ['nothing in common', { timeline: 9, lsn: 500n }, [], { timeline: 0, lsn: 0n }],
])('where a log leaves timeline 7: %s', (_what, position, lineage, fork) => {
  expect(forkOf(position, lineage, 7, LINEAGE)).toEqual(fork);
});
