import { cString, frame, int32 } from './frame.ts';
import { BACKEND } from './message-types.ts';
import { LATEST_MINOR, protocolVersion } from './protocol-versions.ts';

export interface Negotiation {
  /** What the session speaks. */
  readonly minor: 0 | 2;
  /** Protocol options that the client asked for; there are none. They are not settings. */
  readonly unknown: string[];
  /** NegotiateProtocolVersion, to be sent before the authentication; null: the client gets what it asked for. */
  readonly answer: Buffer | null;
}

/**
 * As PostgreSQL 18 does: a minor version above 2, or an option of the protocol, is answered. 3.1 never existed (an old pgbouncer
 * claimed it): it is spoken as 3.0 without a word, and never offered, as libpq refuses the offer.
 */
export function negotiate(minor: number, parameters: ReadonlyMap<string, string>): Negotiation {
  const unknown = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'));
  const spoken = minor >= LATEST_MINOR ? LATEST_MINOR : 0;
  if (minor <= LATEST_MINOR && unknown.length === 0) return { minor: spoken, unknown, answer: null };
  const version = int32(protocolVersion(spoken));
  const answer = frame(BACKEND.negotiateProtocolVersion, version, int32(unknown.length), ...unknown.map(cString));
  return { minor: spoken, unknown, answer };
}
