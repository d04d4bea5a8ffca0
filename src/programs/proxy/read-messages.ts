import { sizeAt } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';

/** Of Describe: a portal. */
const PORTAL = 0x50;
const EXECUTE_BYTES = 10;
const DESCRIBE_BYTES = 7;
const SYNC_BYTES = 5;

/** Behind the message at `at`; -1: it is not whole. */
export function endOf(bytes: Buffer, at: number, to: number): number {
  if (to - at < 5) return -1;
  const size = 1 + sizeAt(bytes, at + 1);
  return size >= 5 && size <= to - at ? at + size : -1;
}

/** A Query message whose text is all of it. */
export function isWholeQuery(bytes: Buffer, from: number, end: number): boolean {
  return bytes.indexOf(0, from + 5) === end - 1;
}

/**
 * What follows a Bind to the unnamed portal, when that is a Describe of it or nothing, one Execute without a limit of rows, and a Sync: where
 * the Sync ends, else -1.
 */
export function endBehindBind(bytes: Buffer, from: number, to: number): number {
  let at = from;
  if (bytes[at] === FRONTEND.describe) {
    if (endOf(bytes, at, to) !== at + DESCRIBE_BYTES || bytes[at + 5] !== PORTAL || bytes[at + 6] !== 0) return -1;
    at += DESCRIBE_BYTES;
  }
  if (bytes[at] !== FRONTEND.execute || endOf(bytes, at, to) !== at + EXECUTE_BYTES || bytes[at + 5] !== 0) return -1;
  if (bytes.readInt32BE(at + 6) !== 0) return -1;
  at += EXECUTE_BYTES;
  return bytes[at] === FRONTEND.sync && endOf(bytes, at, to) === at + SYNC_BYTES ? at + SYNC_BYTES : -1;
}
