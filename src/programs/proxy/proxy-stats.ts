import { LatencyHistogram } from '#core/pool/latency-histogram.ts';

/** Numbers by a name out of a small, fixed set: reasons, SQLSTATE classes. Never by what a client says. */
export type Tally = Map<string, number>;

export function tally(counts: Tally, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

/** One pool: a role in a database. `active`, `idle`, `connecting`, `pinned`, `waiting` and `statements` are of this moment, the rest only grows. */
export class PoolStats {
  readonly database: string;
  readonly role: string;
  readonly servers = { active: 0, idle: 0, connecting: 0 };
  /** Server connections that are tied to one client, by reason. */
  readonly pinned: Tally = new Map();
  /** Clients that wait for a server connection. */
  waiting = 0;
  /** Prepared statements that all server connections together hold for clients, and texts of such that are remembered. */
  readonly statements = { held: 0, known: 0 };
  connects = 0;
  failedConnects = 0;
  transactions = 0;
  queries = 0;
  /** Statements that ran on a pinned connection, by reason. */
  readonly pinnedStatements: Tally = new Map();

  constructor(database: string, role: string) {
    this.database = database;
    this.role = role;
  }
}

/** The counters of one proxy. The data path increments them in place; they are read when somebody asks. */
export class ProxyStats {
  readonly clients = {
    /** Logged in, at this moment: the sum of the next three. */
    connected: 0,
    active: 0,
    waiting: 0,
    idle: 0,
    /** Every connection that was ever accepted. */
    total: 0,
    /** Not let in, or not any further, by reason. */
    refused: new Map() as Tally,
  };
  readonly pools = new Map<string, PoolStats>();
  /** Errors that clients got, whoever made them, by SQLSTATE class (`08`, `53`). */
  readonly errors: Tally = new Map();
  readonly bytes = { fromClients: 0, toClients: 0 };
  /** Prepared statements that were there on the server connection, and those that had to be prepared again. */
  readonly prepared = { hits: 0, misses: 0 };
  /** Looks for state that user code may have left behind. */
  probes = 0;
  /** Server connections that were given a session's state before its next transaction. */
  handOvers = 0;
  readonly cancels = { forwarded: 0, dropped: 0 };
  /** Open transactions that ended with their server. */
  lostTransactions = 0;
  /** Commits and writes whose answer was lost: their clients got 08007. */
  unknownOutcomes = 0;
  /** Reads that were sent once more, unnoticed by their client. */
  retriedReads = 0;
  /** Reads that were sent behind another client's on a server connection. */
  joinedReads = 0;
  /** Of these, those that waited for so long that another connection was looked for as well. */
  hedgedReads = 0;
  /** Clients whose work is held at this moment because there is no primary, and how often that was. */
  readonly held = { now: 0, total: 0 };
  readonly latency = {
    /** From the first message of a transaction to its server connection. */
    wait: new LatencyHistogram(),
    transaction: new LatencyHistogram(),
    query: new LatencyHistogram(),
    handOver: new LatencyHistogram(),
  };

  /** The counters of a pool, made when it is asked for. */
  pool(database: string, role: string): PoolStats {
    const key = JSON.stringify([database, role]);
    let pool = this.pools.get(key);
    if (pool === undefined) {
      pool = new PoolStats(database, role);
      this.pools.set(key, pool);
    }
    return pool;
  }

  /** A pool that is gone takes its counters along: what was ever asked for must not fill the memory. */
  forgetPool(database: string, role: string): void {
    this.pools.delete(JSON.stringify([database, role]));
  }
}
