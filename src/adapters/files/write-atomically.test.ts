import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { MatriarchError } from '#domain/errors.ts';
import { toDiskError } from './disk-errors.ts';
import { writeAtomically } from './write-atomically.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-files-'));
  file = join(folder, 'file');
});
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));

test('makes and replaces a file, for the owner alone unless told otherwise', async () => {
  await writeAtomically(file, 'one');
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['one', 0o600]);
  await writeAtomically(file, Buffer.from([0, 255]), { mode: 0o644 });
  expect([[...readFileSync(file)], statSync(file).mode & 0o777]).toEqual([[0, 255], 0o644]);
  expect(readdirSync(folder)).toEqual(['file']);
});

test('gives the file to its owner before anybody can see it under its name', async () => {
  const { uid, gid } = statSync(folder);
  await writeAtomically(file, 'one', { owner: { uid, gid } });
  expect([statSync(file).uid, statSync(file).gid]).toEqual([uid, gid]);
});

test('a reader sees the old or the new content, never a part of one', async () => {
  const contents = ['a', 'b'].map((letter) => letter.repeat(100_000));
  await writeAtomically(file, contents[0] ?? '');
  let writing = true;
  const writes = (async () => {
    for (let round = 0; round < 20; round++) await writeAtomically(file, contents[round % 2] ?? '');
    writing = false;
  })();
  while (writing) {
    expect(contents).toContain(readFileSync(file, 'utf8'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writes;
});

test('a failure leaves what was there, nothing beside it, and says which file', async () => {
  mkdirSync(file);
  writeFileSync(join(file, 'inside'), '');
  await expect(writeAtomically(file, 'x')).rejects.toMatchObject({ code: 'disk.failed', message: expect.stringContaining(file) });
  expect(readdirSync(folder)).toEqual(['file']);
});

test('errors of the operating system become those of the catalogue', () => {
  const code = (errno: string) => toDiskError(Object.assign(new Error('x'), { code: errno }), '/a').code;
  expect(['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'EIO'].map(code)).toEqual([
    'disk.full',
    'disk.full',
    'disk.readOnly',
    'disk.denied',
    'disk.denied',
    'disk.failed',
  ]);
  const own = new MatriarchError('tls.invalid', 'x');
  expect(toDiskError(own, '/a')).toBe(own);
});
