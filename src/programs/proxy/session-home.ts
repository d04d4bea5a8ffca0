import type { LatencyHistogram } from '#core/pool/latency-histogram.ts';
import type { PinReason } from '#core/pool/pins.ts';
import type { SessionStates } from '#core/pool/session-state.ts';
import type { ClientSession } from './client-session.ts';
import type { Convoys } from './convoys.ts';
import type { DatabaseWatch } from './database-watch.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Statements } from './statements.ts';

/** What a session needs of the world. */
export interface SessionHome {
  readonly states: SessionStates;
  readonly statements: Statements;
  readonly preparedPerServer: number;
  readonly watch: DatabaseWatch;
  readonly convoys: Convoys;
  /** A connection at once, or null: `granted` or `refused` follows. */
  checkout(session: ClientSession): ServerConnection | null;
  release(server: ServerConnection): void;
  /** Its client has left in the midst of something. */
  abandon(server: ServerConnection): void;
  /** It will not be granted one. */
  withdraw(session: ClientSession): void;
  /** Nothing new may start: a switchover is on its way. */
  isHolding(): boolean;
  /** Applications, by their names, that ask sequences for what was drawn last. */
  readonly askingCurrval: Set<string>;
  ended(session: ClientSession): void;
  readonly stats: SessionStats;
}

export interface SessionLatency {
  /** From the first message of a transaction to its last answer. */
  readonly transaction: LatencyHistogram;
  /** From a client's message to the ReadyForQuery behind it. */
  readonly query: LatencyHistogram;
  /** Of a session's settings to a connection. */
  readonly handOver: LatencyHistogram;
}

export interface SessionStats {
  transactions: number;
  /** Of all pools together. */
  readonly latency: SessionLatency;
  /** Errors that clients got from servers, by SQLSTATE class. */
  readonly errors: Map<string, number>;
  bytesFromClients: number;
  statements: number;
  /** Statements that ran on a pinned connection, by reason. */
  readonly pinned: Map<PinReason, number>;
  probes: number;
  handOvers: number;
  lostTransactions: number;
  retriedReads: number;
  unknownOutcomes: number;
  /** Sent behind another client's on a connection. */
  joinedReads: number;
  /** Of these, those that waited for so long that another connection was looked for. */
  hedgedReads: number;
  preparedHits: number;
  preparedMisses: number;
}

export function sessionStats(latency: SessionLatency): SessionStats {
  return {
    transactions: 0,
    latency,
    errors: new Map(),
    bytesFromClients: 0,
    statements: 0,
    pinned: new Map(),
    probes: 0,
    handOvers: 0,
    lostTransactions: 0,
    retriedReads: 0,
    unknownOutcomes: 0,
    joinedReads: 0,
    hedgedReads: 0,
    preparedHits: 0,
    preparedMisses: 0,
  };
}
