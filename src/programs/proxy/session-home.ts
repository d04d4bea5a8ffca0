import type { LatencyHistogram } from '#core/pool/latency-histogram.ts';
import type { PinReason } from '#core/pool/pins.ts';
import type { SessionStates } from '#core/pool/session-state.ts';
import type { Hazards } from '#sql/hazards.ts';
import type { ClientSession } from './client-session.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Statements } from './statements.ts';

/** What a session needs of the world. */
export interface SessionHome {
  readonly states: SessionStates;
  readonly statements: Statements;
  readonly preparedPerServer: number;
  hazards(): Hazards;
  /** Settings that no view lists, as far as they are known; with those that a session has just named. */
  customSettings(named: ReadonlySet<string>): readonly string[];
  /** A connection at once, or null: `granted` or `refused` follows. */
  checkout(session: ClientSession): ServerConnection | null;
  release(server: ServerConnection): void;
  /** Its client has left in the midst of something. */
  abandon(server: ServerConnection): void;
  /** It will not be granted one. */
  withdraw(session: ClientSession): void;
  /** Nothing new may start: a switchover is on its way. */
  isHolding(): boolean;
  /** Counts the changes of the catalog: a text means something else behind one. */
  readonly generation: number;
  /** The texts of a transaction may have changed the catalog. */
  catalogChanged(): void;
  /** Moves what the session listens to on `server` to the shared listener. */
  listen(session: ClientSession, server: ServerConnection, done: (error: string | null) => void): void;
  /** The shared listener delivers this channel to the session. */
  isShared(session: ClientSession, channel: string): boolean;
  sharedChannels(session: ClientSession): string[];
  unlisten(session: ClientSession, channels: ReadonlySet<string> | 'all'): void;
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
  preparedHits: number;
  preparedMisses: number;
}
