import { readFileSync } from 'node:fs';
import { fail } from '#domain/errors.ts';

/** Errors: `tls.invalid` with the path. */
export function readTlsText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return fail('tls.invalid', `${path}: ${(error as Error).message}`, error);
  }
}
