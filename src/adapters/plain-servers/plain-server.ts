import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { ServerAddress } from '#domain/ports/topology.ts';
import type { Answer } from './choose-primary.ts';

export interface PlainLogin {
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  /** Called for every connection, so that new files are used. */
  readonly tls: () => ConnectionOptions | false;
  readonly connectMs: number;
  readonly answerMs: number;
}

// What a person may have set for every session, and names that somebody may have put in front of PostgreSQL's own (CVE-2025-12819).
const OPTIONS = '-c search_path=pg_catalog -c lock_timeout=0 -c idle_session_timeout=0 -c default_transaction_read_only=off';

/** The name of a WAL file begins with the timeline that is written; `pg_control` names the new one only after a checkpoint. */
const ASK = `SELECT s.standby,
  CASE WHEN s.standby THEN NULL
    ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END AS timeline,
  (SELECT c.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() AS c) AS system,
  (SELECT pg_catalog.sum(CASE WHEN p.name = 'max_connections' THEN 1 ELSE -1 END * p.setting::pg_catalog.int4)::pg_catalog.int4
    FROM pg_catalog.pg_settings AS p
    WHERE p.name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')) AS capacity
  FROM (SELECT pg_catalog.pg_is_in_recovery() AS standby) AS s`;

/** SQLSTATEs of a server that is there and takes no session: `cannot_connect_now`, and the three kinds of shutdown. */
const AWAY = ['57P03', '57P01', '57P02'];
/** What the operating system says when nobody listens. */
const REFUSED = ['ECONNREFUSED', 'ENOENT'];

class NoAnswer extends Error {}

/** One lasting connection to one server. It connects when it is needed, and again after it was lost. */
export class PlainServer {
  readonly address: ServerAddress;
  readonly #login: PlainLogin;
  #client: pg.Client | undefined;
  #connecting: Promise<pg.Client> | undefined;
  #socket: Socket | undefined;
  /** Why it was last asked in vain, for people; undefined while it answers. */
  trouble: string | undefined;
  /** The SQLSTATE or the code of the operating system that goes with it. */
  refusal: string | undefined;
  /** Of the cluster that the server belongs to (`pg_control_system`). */
  system: string | undefined;
  /** Connections for ordinary roles: `max_connections` less what is reserved. */
  capacity: number | undefined;

  constructor(address: ServerAddress, login: PlainLogin) {
    this.address = address;
    this.#login = login;
  }

  /** Never rejects. */
  async ask(): Promise<Answer> {
    try {
      const [row] = await this.query<{ standby: boolean; timeline: string | null; system: string; capacity: number }>(ASK, []);
      this.trouble = undefined;
      this.refusal = undefined;
      this.system = row?.system;
      this.capacity = row?.capacity;
      return row?.standby === false
        ? { kind: 'primary', timeline: Number.parseInt(row.timeline ?? '', 16) }
        : { kind: 'standby' };
    } catch (error) {
      this.trouble = (error as Error).message;
      const code = (error as { code?: string }).code ?? '';
      this.refusal = code;
      return { kind: REFUSED.includes(code) || AWAY.includes(code) ? 'away' : 'silent' };
    }
  }

  /** Rejects with PostgreSQL's error (`code` is the SQLSTATE) or the socket's. One that is not answered in time costs the connection. */
  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<Row[]> {
    const client = this.#client ?? (await this.#connected());
    const socket = this.#socket;
    const { answerMs } = this.#login;
    const timer = setTimeout(() => socket?.destroy(new NoAnswer(`no answer within ${answerMs} ms`)), answerMs);
    try {
      return (await client.query<Row>({ text, values: [...values] })).rows;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the connection without waiting for anything. */
  drop(): void {
    const socket = this.#socket;
    this.#client = undefined;
    this.#socket = undefined;
    socket?.destroy();
  }

  #connected(): Promise<pg.Client> {
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<pg.Client> {
    const { user, password, database, tls, connectMs, answerMs } = this.#login;
    const { host, port } = this.address;
    const socket = new Socket();
    const client = new pg.Client({
      stream: () => socket,
      host,
      port,
      user,
      // Without one `pg` would look for a file of the person who runs this.
      password: password ?? (() => ''),
      database,
      ssl: tls(),
      application_name: 'matriarch proxy',
      statement_timeout: answerMs,
      options: OPTIONS,
    });
    client.on('error', () => {});
    socket.on('close', () => {
      if (this.#client === client) this.drop();
    });
    const began = performance.now();
    const timer = setTimeout(() => socket.destroy(new NoAnswer(`no connection within ${connectMs} ms`)), connectMs);
    try {
      await client.connect();
    } catch (error) {
      socket.destroy();
      if ((error as Error).message === 'Connection terminated unexpectedly' && performance.now() - began >= connectMs)
        throw new NoAnswer(`no connection within ${connectMs} ms`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    this.#client = client;
    this.#socket = socket;
    return client;
  }
}
