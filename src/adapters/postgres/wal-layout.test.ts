import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseLsn } from '#domain/lsn.ts';
import { lastRecordEnd } from './wal-end.ts';
import { DEFAULT_WAL_SIZES, recordEnd, segmentEnd, withoutPageHeader } from './wal-layout.ts';

const lsn = (text: string) => parseLsn(text) ?? -1n;
const SEGMENT = BigInt(DEFAULT_WAL_SIZES.segmentBytes);
const BLOCK = BigInt(DEFAULT_WAL_SIZES.blockBytes);

// Measured on 15.18: the record at the first address of this length was followed by one at the second.
test.each([
  ['0/1500718', 114, '0/1500790'],
  ['0/15006D0', 66, '0/1500718'],
])('the record at %s of %i bytes ends at %s', (start, length, end) => {
  expect(recordEnd(lsn(start), length, DEFAULT_WAL_SIZES)).toBe(lsn(end));
});

test('the headers of the pages that a record crosses count, and that of a segment is longer', () => {
  expect(recordEnd(BLOCK - 8n, 16, DEFAULT_WAL_SIZES)).toBe(BLOCK + 24n + 8n);
  expect(recordEnd(SEGMENT - 8n, 16, DEFAULT_WAL_SIZES)).toBe(SEGMENT + 40n + 8n);
  expect(recordEnd(BLOCK - 8n, 8, DEFAULT_WAL_SIZES)).toBe(BLOCK);
});

test('a record ends aligned, behind all its bytes, and never within a header', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 40n }), fc.integer({ min: 24, max: 200_000 }), (page, length) => {
      const start = page * BLOCK + ((page * BLOCK) % SEGMENT === 0n ? 40n : 24n);
      const end = recordEnd(start, length, DEFAULT_WAL_SIZES);
      const inPage = end % BLOCK;
      const header = (end - inPage) % SEGMENT === 0n ? 40n : 24n;
      expect(end % 8n).toBe(0n);
      expect(end).toBeGreaterThanOrEqual(start + BigInt(length));
      expect(inPage === 0n || inPage > header).toBe(true);
    }),
  );
});

test('an insert position right behind a page header is the end of the page before, which can be confirmed', () => {
  const page = 5n * BLOCK;
  expect(withoutPageHeader(page + 24n, DEFAULT_WAL_SIZES)).toBe(page);
  expect(withoutPageHeader(3n * SEGMENT + 40n, DEFAULT_WAL_SIZES)).toBe(3n * SEGMENT);
  expect(withoutPageHeader(3n * SEGMENT + 24n, DEFAULT_WAL_SIZES)).toBe(3n * SEGMENT + 24n);
  expect(withoutPageHeader(page + 32n, DEFAULT_WAL_SIZES)).toBe(page + 32n);
});

test('the last record of pg_waldump counts; a switch fills its segment; what is no record does not', () => {
  const line = (name: string, length: number, at: string, what: string) =>
    `rmgr: ${name}        len (rec/tot):     50/    ${length}, tx:          0, lsn: ${at}, prev 0/00000000, desc: ${what}\n`;
  const first = line('Standby', 50, '0/02000028', 'RUNNING_XACTS nextXid 730');
  expect(lastRecordEnd(first, DEFAULT_WAL_SIZES)).toBe(lsn('0/2000060'));
  expect(lastRecordEnd(first + line('XLOG', 24, '0/02000060', 'SWITCH '), DEFAULT_WAL_SIZES)).toBe(lsn('0/3000000'));
  expect(lastRecordEnd(`${first}cut off in the middle`, DEFAULT_WAL_SIZES)).toBe(lsn('0/2000060'));
  expect(lastRecordEnd('', DEFAULT_WAL_SIZES)).toBeUndefined();
  expect(segmentEnd(SEGMENT, DEFAULT_WAL_SIZES)).toBe(SEGMENT);
});
