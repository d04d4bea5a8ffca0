import type { SessionState } from './session-state.ts';

/** Reads on one connection that have not been answered. */
const MOST_DEEP = 32;
/** Of one turn of the event loop, in one packet: what the server is likely to be at it for, and how many. */
const GATHERED_US = 400;
const MOST_GATHERED = 8;
/** When no connection is free: how long those ahead are likely to take. */
const AHEAD_US = 10_000;
/** Of one read as its client sends it. */
export const MOST_BYTES = 4096;

/** A session between transactions that has sent one whole read. */
export interface Reader {
  readonly signature: string;
  readonly state: SessionState;
  /** What ties it to a connection. */
  readonly pins: number;
  /** It still has to hear of a transaction that was lost, or sends a read once more because its server was lost. */
  readonly isShaken: boolean;
  /** What it has not read of its answers. */
  readonly unreadBytes: number;
}

/** A server connection, and the reads that are on it. */
export interface Stream {
  readonly signature: string;
  /** What the connection is known to have beyond its startup. */
  readonly session: SessionState;
  /** Whose code may have left more on it than is known. */
  readonly strange: object | null;
  /** Cancel requests on their way to it. */
  readonly cancels: number;
  /** It is to be closed when it is free. */
  readonly retired: boolean;
}

/** Reads of several clients on one connection. */
export interface Train {
  readonly stream: Stream;
  /** Nobody may join: something on it is slow, large, unknown, or to be cancelled. */
  readonly isClosed: boolean;
  /** Of this turn of the event loop, and not sent yet. */
  readonly isGathering: boolean;
  readonly depth: number;
  /** What the server is likely to need for all that is on it, in microseconds. */
  readonly expectedUs: number;
  /** Since when there have been reads on it, in milliseconds. */
  readonly since: number;
}

/** Whether what the session sends may go where other clients' reads are at all. In doubt it has a connection of its own. */
export function mayShare({ pins, isShaken, unreadBytes }: Reader): boolean {
  return pins === 0 && !isShaken && unreadBytes === 0;
}

/** Whether the connection is, as far as anybody can see, just as the session needs it. */
export function fits(reader: Reader, { signature, session, strange, cancels, retired }: Stream): boolean {
  return signature === reader.signature && session === reader.state && strange === null && cancels === 0 && !retired;
}

/**
 * Whether a read may stand behind those of the train.
 * @param expectedUs of the read; `Infinity`: not known to be quick and small
 * @param longestMs after so long a connection takes no more, so that it comes free: others may wait for it
 * @param isLast no connection is free: it would have to wait for one
 */
export function mayJoin(
  reader: Reader,
  train: Train,
  expectedUs: number,
  isLast: boolean,
  now: number,
  longestMs: number,
): boolean {
  const { isClosed, isGathering, depth, since } = train;
  if (isClosed || !mayShare(reader) || !fits(reader, train.stream) || now - since > longestMs) return false;
  if (isLast) return depth < MOST_DEEP && expectedUs < Number.POSITIVE_INFINITY && train.expectedUs <= AHEAD_US;
  return isGathering && depth < MOST_GATHERED && train.expectedUs + expectedUs <= GATHERED_US;
}
