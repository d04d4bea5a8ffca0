import type { ErrorCode } from '#domain/errors.ts';
import { MatriarchError } from '#domain/errors.ts';

const BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'disk.full',
  EDQUOT: 'disk.full',
  EROFS: 'disk.readOnly',
  EACCES: 'disk.denied',
  EPERM: 'disk.denied',
};

/** What the operating system said of `path`, as an error of the catalogue. */
export function toDiskError(error: unknown, path: string): MatriarchError {
  if (error instanceof MatriarchError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return new MatriarchError(BY_ERRNO[code ?? ''] ?? 'disk.failed', `${path}: ${message}`, error);
}
