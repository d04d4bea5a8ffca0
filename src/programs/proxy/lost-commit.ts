import { readErrorFields } from '#wire/decode-backend.ts';
import { errorResponse } from '#wire/encode-backend.ts';

export const LOST_COMMIT = errorResponse({
  severity: 'ERROR',
  code: '08007',
  message: 'it is not known whether the transaction will last: the wait for its standby was cut off',
  detail: 'The commit is on the primary. When the primary is lost before the standby has it, it is lost as well.',
  hint: 'Look whether what it did is there before you do it again.',
});

const WARNING_CODES = /01000|57P01/;

/** SyncRepWaitForLSN (src/backend/replication/syncrep.c) gives the wait up: the name of the routine is in no language. */
export function isLostWait(bytes: Buffer, from: number, to: number): boolean {
  if (bytes.indexOf('RSyncRepWaitForLSN\0', from, 'latin1') < 0) return false;
  const fields = readErrorFields(Buffer.from(bytes.subarray(from, to)));
  return fields?.get('R') === 'SyncRepWaitForLSN' && WARNING_CODES.test(fields.get('C') ?? '');
}

/**
 * Where the warning is hidden: a commit that waits for its standby by itself. When its wait ends well, the standby has everything that
 * was committed before.
 */
export const CONFIRM_COMMIT =
  "SET LOCAL client_min_messages = warning; SELECT pg_catalog.pg_logical_emit_message(true, 'matriarch', '')";

/** What the client gets for the answer to `CONFIRM_COMMIT`. A role that may not ask has to do without. */
export function commitIsLost(error: Buffer | null): boolean {
  return error !== null && readErrorFields(error)?.get('C') !== '42501';
}
