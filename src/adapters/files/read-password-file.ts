import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { fail } from '#domain/errors.ts';
import { toDiskError } from './disk-errors.ts';

/** Permissions of anybody but the owner. */
const OTHERS = 0o077;

/**
 * The one line of a file that its owner alone may read. `place` is the setting that names it. Errors: `config.exposed` when others may
 * read it, `config.invalid` when it is empty, `disk.…`.
 */
export function readPasswordFile(path: string, place: string): string {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw toDiskError(error, `${place}: ${path}`);
  }
  try {
    const { mode } = fstatSync(file);
    if ((mode & OTHERS) !== 0)
      fail('config.exposed', `${place}: ${path} has mode ${(mode & 0o777).toString(8).padStart(4, '0')}`);
    const password = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    if (password === '' || password.includes('\n')) fail('config.invalid', `${place}: ${path} must hold one line`);
    return password;
  } finally {
    closeSync(file);
  }
}
