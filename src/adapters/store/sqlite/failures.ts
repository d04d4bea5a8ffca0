import type { StoreFailure } from './requests.ts';

/** A failure of the store's file. */
export class StoreFileError extends Error {
  readonly code: StoreFailure;
  /** Another process holds a lock and nothing was done: the same request may be tried again. */
  readonly busy: boolean;
  /** The connection is of no more use. */
  readonly reopen: boolean;

  constructor(
    code: StoreFailure,
    detail: string,
    options: { readonly busy?: boolean; readonly reopen?: boolean; readonly cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.code = code;
    this.busy = options.busy ?? false;
    this.reopen = options.reopen ?? false;
  }
}

/** SQLite's primary result codes (https://sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const READ_ONLY = 8;
const IO_ERROR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;

const BY_ERRNO: Readonly<Record<string, StoreFailure>> = {
  ENOSPC: 'store.full',
  EDQUOT: 'store.full',
  EROFS: 'store.readOnly',
  EACCES: 'store.readOnly',
  EPERM: 'store.readOnly',
};

/** Of whatever SQLite or the file system threw. */
export function toFailure(error: unknown): StoreFileError {
  if (error instanceof StoreFileError) return error;
  const { code, errcode, message } = error as { code?: string; errcode?: number; message?: string };
  const detail = message ?? String(error);
  if (code !== 'ERR_SQLITE_ERROR' || errcode === undefined) {
    return new StoreFileError(BY_ERRNO[code ?? ''] ?? 'store.unavailable', detail, { cause: error });
  }
  // Extended codes carry the primary one in their low byte.
  switch (errcode & 0xff) {
    case BUSY:
    case LOCKED:
      return new StoreFileError('store.unavailable', 'another process holds the lock of the store', { busy: true, cause: error });
    case READ_ONLY:
      return new StoreFileError('store.readOnly', detail, { reopen: true, cause: error });
    case FULL:
      return new StoreFileError('store.full', detail, { cause: error });
    case CORRUPT:
      return new StoreFileError('store.corrupt', detail, { reopen: true, cause: error });
    case NOT_A_DATABASE:
      return new StoreFileError('store.foreign', detail, { cause: error });
    case IO_ERROR:
    case CANNOT_OPEN:
      return new StoreFileError('store.unavailable', detail, { reopen: true, cause: error });
    default:
      return new StoreFileError('store.unavailable', detail, { reopen: true, cause: error });
  }
}
