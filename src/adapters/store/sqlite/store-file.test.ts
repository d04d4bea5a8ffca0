import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toFailure } from './failures.ts';
import type { ScanResult } from './requests.ts';
import { StoreFile } from './store-file.ts';

let folder: string;
let file: string;
let store: StoreFile;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-store-file-'));
  file = join(folder, 'store.db');
  store = new StoreFile(file, true);
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function write(key: string, value: unknown, ttlMs: number | null = null): number {
  const answer = store.answer({ kind: 'write', key, expected: 'any', value: JSON.stringify(value), ttlMs, durable: false });
  return answer.kind === 'written' ? answer.version : Number.NaN;
}

function scan(since: number): ScanResult {
  const answer = store.answer({ kind: 'scan', prefix: '', since });
  if (answer.kind !== 'scanned') throw new Error(answer.kind);
  return answer.result;
}

/** As another program sees and changes it. */
function alter(sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

describe('Expiring keys', () => {
  test('of before the machine booted have expired, whatever the clock says', () => {
    write('members/n1', 1, 60_000);
    write('config', 1);
    expect(scan(0).rows.length).toBe(2);
    alter("UPDATE entry SET boot = 'an earlier boot' WHERE boot IS NOT NULL");
    expect(store.answer({ kind: 'get', key: 'members/n1' })).toEqual({ kind: 'row', row: undefined });
    expect(scan(0)).toMatchObject({ rows: [{ key: 'config' }], expired: ['members/n1'], expiresInMs: null });
  });

  test('are announced with the time that is left', () => {
    write('a', 1, 60_000);
    write('b', 1, 1000);
    const { expiresInMs } = scan(0);
    expect(expiresInMs).toBeGreaterThan(0);
    expect(expiresInMs).toBeLessThanOrEqual(1000);
  });
});

describe('A scan', () => {
  test('brings what is newer, deletions too, in the order of the versions', () => {
    write('c', 1);
    const since = write('a', 1);
    write('b', 1);
    store.answer({ kind: 'delete', key: 'c' });
    write('a', 2);
    const result = scan(since);
    expect(result.complete).toBe(false);
    expect(result.rows.map(({ key, value }) => [key, value])).toEqual([
      ['b', '1'],
      ['c', null],
      ['a', '2'],
    ]);
    expect(scan(result.upTo).rows).toEqual([]);
  });

  test('of a watcher whose deletions are no longer remembered brings everything', () => {
    write('kept', 1);
    const since = write('gone', 1);
    store.answer({ kind: 'delete', key: 'gone' });
    // 1,100 deletions by hand: one transaction instead of as many synced ones.
    const database = new DatabaseSync(file);
    database.exec('BEGIN');
    const insert = database.prepare('INSERT INTO entry (key, value) VALUES (?, NULL)');
    for (let index = 0; index < 1100; index++) insert.run(`old/${index}`);
    database.exec('COMMIT');
    database.close();
    write('last', 1);
    store.answer({ kind: 'delete', key: 'last' });
    const result = scan(since);
    expect(result.complete).toBe(true);
    expect(result.rows.map(({ key }) => key)).toEqual(['kept']);
    const check = new DatabaseSync(file, { readOnly: true });
    expect(check.prepare('SELECT count(*) AS n FROM entry WHERE value IS NULL').get()).toMatchObject({ n: 1000 });
    check.close();
  });

  test('of a watcher that has seen more than there is brings everything: an older copy was put in place', () => {
    write('a', 1);
    expect(scan(1000)).toMatchObject({ complete: true, rows: [{ key: 'a' }] });
  });
});

test('a file or folder that may not be written is reported as such', () => {
  chmodSync(folder, 0o755);
  chmodSync(file, 0o444);
  expect(writeAsOrdinaryUser(file)).toBe('store.readOnly');
  chmodSync(folder, 0o555);
  expect(writeAsOrdinaryUser(file)).toBe('store.readOnly');
  expect(writeAsOrdinaryUser(join(folder, 'other.db'))).toBe('store.readOnly');
  chmodSync(folder, 0o700);
});

test('a value that is no JSON cannot get into the file', () => {
  expect(() => alter("INSERT INTO entry (key, value) VALUES ('leader', '{nonsense')")).toThrow('constraint');
});

test('what SQLite and the file system report becomes a code, and says whether the connection is of any more use', () => {
  const failure = (error: object) => {
    const { code, busy, reopen } = toFailure(Object.assign(new Error('x'), error));
    return [code, busy, reopen];
  };
  const sqlite = (errcode: number) => failure({ code: 'ERR_SQLITE_ERROR', errcode });
  expect(sqlite(5)).toEqual(['store.unavailable', true, false]);
  // SQLITE_BUSY_RECOVERY: another process is putting the file in order.
  expect(sqlite(261)).toEqual(['store.unavailable', true, false]);
  expect(sqlite(13)).toEqual(['store.full', false, false]);
  // SQLITE_READONLY_DBMOVED
  expect(sqlite(1032)).toEqual(['store.readOnly', false, true]);
  // SQLITE_IOERR_FSYNC: what was written may or may not be there.
  expect(sqlite(1034)).toEqual(['store.unavailable', false, true]);
  expect(sqlite(11)).toEqual(['store.corrupt', false, true]);
  expect(sqlite(26)).toEqual(['store.foreign', false, false]);
  expect(failure({ code: 'ENOSPC' })).toEqual(['store.full', false, false]);
  expect(failure({ code: 'EROFS' })).toEqual(['store.readOnly', false, false]);
  expect(failure({ code: 'EIO' })).toEqual(['store.unavailable', false, false]);
});

/** The code of the failure, in a process of its own, because root may write whatever the mode says. */
function writeAsOrdinaryUser(path: string): string {
  const program = `
    const { StoreFile } = await import(${JSON.stringify(new URL('./store-file.ts', import.meta.url).href)});
    if (process.getuid() === 0) process.setuid(65534);
    try {
      const store = new StoreFile(${JSON.stringify(path)}, true);
      store.answer({ kind: 'write', key: 'a', expected: 'any', value: '1', ttlMs: null, durable: true });
      console.log('written');
    } catch (error) {
      console.log(error.code);
    }`;
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}
