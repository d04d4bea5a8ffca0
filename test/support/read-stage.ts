import type pg from 'pg';
import { expect } from 'vitest';
import type { Login } from './plain-server.ts';
import { type Front, type FrontOptions, type ProxyInFront, until } from './proxy-front.ts';
import type { RawClient } from './raw-client.ts';

/** Runs after which a statement is known. */
const KNOWN_RUNS = 8;
/** On a crowded machine one run may take as long as others never do: whoever reads behind it is to find quick ones at the end. */
const QUICK_MS = 1;
const QUICK_RUNS = 3;
const MOST_RUNS = 500;

/** A proxy whose one connection is held up by a read that waits for a lock, and clients that send reads behind it. */
export class ReadStage {
  readonly proxy: ProxyInFront;
  readonly #front: Front;
  readonly #login: Login;
  readonly #locker: pg.Client;

  private constructor(front: Front, proxy: ProxyInFront, login: Login, locker: pg.Client) {
    this.#front = front;
    this.proxy = proxy;
    this.#login = login;
    this.#locker = locker;
  }

  /** `held` is a table of the login with one row. */
  static async start(front: Front, login: Login, options: FrontOptions = {}): Promise<ReadStage> {
    const { limits = {}, timeouts = {} } = options;
    const proxy = await front.proxy({
      ...options,
      limits: { serversPerPool: 1, ...limits },
      timeouts: { hedgeMs: 60_000, waitNoticeMs: 0, connectMs: 20_000, ...timeouts },
    });
    const locker = await front.server.connect();
    return new ReadStage(front, proxy, login, locker);
  }

  client(more: pg.ClientConfig = {}): Promise<pg.Client> {
    return this.proxy.client(this.#login, more);
  }

  raw(parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
    // As `pg` has it: connections are of one startup.
    return this.proxy.raw(this.#login, { client_encoding: 'UTF8', ...parameters });
  }

  /** So often that the proxy knows what the statement costs. */
  async learn(client: pg.Client, ...statements: readonly (string | pg.QueryConfig)[]): Promise<void> {
    for (const statement of statements) {
      let quick = 0;
      for (let run = 0; run < KNOWN_RUNS || (quick < QUICK_RUNS && run < MOST_RUNS); run++) {
        const began = performance.now();
        await client.query(statement).catch(() => {});
        quick = performance.now() - began < QUICK_MS ? quick + 1 : 0;
      }
    }
  }

  /** From now on whoever reads `held` waits, until the promise that is returned by what this returns. */
  async lock(): Promise<() => Promise<unknown>> {
    await this.#locker.query('BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE');
    return () => this.#locker.query('COMMIT');
  }

  get joined(): number {
    return this.proxy.proxy.stats().joinedReads;
  }

  /** So many reads stand behind others since `before`. */
  untilJoined(count: number, before: number): Promise<void> {
    return until(() => expect(this.joined - before).toBe(count));
  }

  /** Somebody's backend waits for the lock. Its number. */
  async untilLocked(): Promise<number> {
    let pid = 0;
    await until(async () => {
      const rows = await this.#front.server.sql(
        `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = '${this.#login.user}'`,
      );
      expect(rows.length).toBeGreaterThan(0);
      pid = Number(rows[0]?.pid);
    });
    return pid;
  }

  async end(): Promise<void> {
    await this.#locker.end();
  }
}
