import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import pg from 'pg';

export interface SessionSettings {
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
  /** As it is when a connection is made. */
  readonly password: () => string;
  /** `application_name`, for people. */
  readonly name: string;
  /** Default `local`: the agent's own work never waits for a standby. `on` for a probe. */
  readonly synchronousCommit?: 'local' | 'on';
}

export interface QueryOptions {
  /** From now on, connecting included. */
  readonly timeoutMs: number;
  /** Prepares the statement under this name once a connection. */
  readonly prepared?: string;
}

/** The server did not answer in time. The connection was dropped: what it was doing is unknown. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

// What a person may have set for every session must not end, block or change the agent's.
const OPTIONS = [
  'statement_timeout=0',
  'lock_timeout=0',
  'idle_in_transaction_session_timeout=0',
  'idle_session_timeout=0',
  'default_transaction_read_only=off',
  'client_min_messages=error',
  'log_statement=none',
  'log_min_duration_statement=-1',
  'search_path=pg_catalog',
];

/**
 * One connection of the agent to its own server, through the socket. It connects when it is needed, and again after it was lost.
 * Every query has a deadline; a query that misses it costs the connection. One query at a time: the caller's to keep.
 */
export class Session {
  readonly #settings: SessionSettings;
  readonly #onLost: () => void;
  #client: pg.Client | undefined;
  #socket: Socket | undefined;

  constructor(settings: SessionSettings, onLost: () => void = () => {}) {
    this.#settings = settings;
    this.#onLost = onLost;
  }

  /** Rejects with `NoAnswer`, PostgreSQL's error (`code` is the SQLSTATE), or the socket's (ENOENT, ECONNREFUSED). */
  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[], options: QueryOptions): Promise<Row[]> {
    const deadline = performance.now() + options.timeoutMs;
    const client = this.#client ?? (await this.#connect(options.timeoutMs));
    const socket = this.#socket;
    const timer = setTimeout(
      () => socket?.destroy(new NoAnswer('the server did not answer in time')),
      Math.max(1, deadline - performance.now()),
    );
    try {
      const query = { text, values: [...values], ...(options.prepared === undefined ? {} : { name: options.prepared }) };
      return (await client.query<Row>(query)).rows;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Undefined while it is not connected. */
  get backendPid(): number | undefined {
    return (this.#client as { processID?: number } | undefined)?.processID;
  }

  /** Ends the connection without waiting for anything. */
  drop(): void {
    const socket = this.#socket;
    this.#client = undefined;
    this.#socket = undefined;
    socket?.destroy();
  }

  async #connect(timeoutMs: number): Promise<pg.Client> {
    const { socketDir, port, user, password, name, synchronousCommit } = this.#settings;
    const socket = new Socket();
    const options = [...OPTIONS, `synchronous_commit=${synchronousCommit ?? 'local'}`].map((option) => `-c ${option}`).join(' ');
    const client = new pg.Client({
      stream: () => socket,
      host: socketDir,
      port,
      user,
      password,
      database: 'postgres',
      application_name: name,
      options,
    });
    let connected = false;
    client.on('error', () => {});
    socket.on('close', () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#socket = undefined;
      if (connected) this.#onLost();
    });
    const timer = setTimeout(() => socket.destroy(new NoAnswer('no connection came about in time')), Math.max(1, timeoutMs));
    try {
      await client.connect();
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
    connected = true;
    this.#client = client;
    this.#socket = socket;
    return client;
  }
}
