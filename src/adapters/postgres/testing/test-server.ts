import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect } from 'vitest';
import { findByWorkingDirectory, kill, readProcess, resolveDirectory } from '#adapters/process/processes.ts';
import type { JobResult, ServerJob, ServerView, Upstream } from '#domain/server.ts';
import { layoutOf } from '../layout.ts';
import type { Owner, PostgresOptions, PostgresSecrets } from '../postgres-options.ts';
import { createPostgresServer, type PostgresServer } from '../postgres-server.ts';

export const BIN = process.env.MATRIARCH_TEST_POSTGRES_BIN ?? '/usr/lib/postgresql/15/bin';

/** Long enough for a machine under load; nothing waits as long unless it fails. */
const PATIENCE_MS = 20_000;

/** Distinctive, so that a search for them cannot find anything else. */
export const SECRETS: PostgresSecrets = {
  superuser: { name: 'postgres', password: 'superuser-secret-7Q2f' },
  agent: { name: 'matriarch_agent', password: 'agent-secret-9Xw4' },
  replication: { name: 'matriarch_replication', password: 'replication-secret-3Lp8' },
};

// Speed, where durability is not the subject: nothing here survives a power failure. A small server starts faster.
const PARAMETERS = { fsync: 'off', shared_buffers: '8MB', max_connections: '30', autovacuum: 'off', min_wal_size: '32MB' };

export type OptionsChange = Partial<Omit<PostgresOptions, 'runAs'>>;
type View<State extends ServerView['state']> = Extract<ServerView, { state: State }>;

/** A member's server, as its agent has it, and what a test does behind the agent's back. */
export class TestServer {
  readonly name: string;
  readonly options: PostgresOptions;
  readonly incarnation: string;
  readonly progress: string[] = [];
  readonly logged: string[] = [];
  server: PostgresServer;
  ended = 0;
  readonly #clients = new Set<pg.Client>();

  constructor(name: string, options: PostgresOptions) {
    this.name = name;
    this.options = { ...options, log: (line) => this.logged.push(line) };
    this.incarnation = `${name}_0a1b2c3d`;
    this.server = this.#open();
  }

  get layout() {
    return layoutOf(this.options);
  }

  /** How `follower` reaches this server. */
  upstreamOf(follower: TestServer): Upstream {
    return { member: this.name, host: this.options.host, port: this.options.port, name: follower.incarnation };
  }

  run(job: ServerJob): Promise<JobResult> {
    return this.server.run(job, this.incarnation, (text) => this.progress.push(text));
  }

  /** A job that the test takes for granted. */
  async do(job: ServerJob): Promise<Extract<JobResult, { ok: true }>> {
    const result = await this.run(job);
    if (!result.ok) throw new Error(`${this.name}: ${job.kind}: ${result.code}: ${result.why}`);
    return result;
  }

  observe(): Promise<ServerView> {
    return this.server.observe(this.incarnation);
  }

  async seen<State extends ServerView['state']>(state: State): Promise<View<State>> {
    const view = await this.observe();
    if (view.state !== state) throw new Error(`${this.name} is ${JSON.stringify(view, bigText)} and not ${state}`);
    return view as View<State>;
  }

  /** What a restarted agent has: it knows nothing, and finds what runs. */
  async restartAgent(): Promise<void> {
    await this.server.close();
    this.server = this.#open();
    this.ended = 0;
  }

  /** Through the socket, as the agent's role by default: it gets in whatever the gate. */
  async connect(login = SECRETS.agent, change: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({
      host: this.layout.socketDir,
      port: this.options.port,
      user: login.name,
      password: login.password,
      database: 'postgres',
      ...change,
    });
    client.on('error', () => {});
    await client.connect();
    this.#clients.add(client);
    return client;
  }

  /** Over TCP with TLS, as a client comes. */
  connectClient(): Promise<pg.Client> {
    const ssl = { ca: this.options.tls.ca };
    return this.connect(SECRETS.superuser, { host: this.options.host, ssl });
  }

  async sql(text: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = await this.connect();
    try {
      return (await client.query(text, [...values])).rows;
    } finally {
      this.#clients.delete(client);
      await client.end();
    }
  }

  async value(text: string): Promise<string> {
    return String(Object.values((await this.sql(text))[0] ?? {})[0]);
  }

  /** Behind the agent's back; ends when the postmaster has read the files. */
  async reload(): Promise<void> {
    const client = await this.connect();
    const loadedAt = async () => (await client.query('SELECT pg_conf_load_time()::text AS at')).rows[0]?.at;
    const before = await loadedAt();
    await client.query('SELECT pg_reload_conf()');
    await eventually(async () => expect(await loadedAt()).not.toBe(before));
    this.#clients.delete(client);
    await client.end();
  }

  /** A commit whose acknowledgement depends on the sync set. */
  async commit(text = "INSERT INTO t VALUES ('commit')"): Promise<Commit> {
    const client = await this.connect();
    await client.query("SET synchronous_commit = 'on'");
    const [row] = (await client.query('SELECT pg_backend_pid() AS pid')).rows as { pid: number }[];
    return new Commit(this, client, row?.pid ?? 0, text);
  }

  /** The process whose title matches; throws unless there is exactly one. */
  async processOf(backendType: string, where = 'true'): Promise<number> {
    const rows = await this.sql(`SELECT pid FROM pg_stat_activity WHERE backend_type = '${backendType}' AND ${where}`);
    expect(rows, backendType).toHaveLength(1);
    return Number(rows[0]?.pid);
  }

  walsenderOf(follower: TestServer): Promise<number> {
    return this.processOf('walsender', `application_name = '${follower.incarnation}'`);
  }

  /** Until `follower` has flushed all that this server has written. */
  async caughtUp(follower: TestServer): Promise<void> {
    const lsn = await this.value('SELECT pg_current_wal_flush_lsn()');
    await eventually(async () => {
      const [row] = await this.sql('SELECT flush_lsn >= $1 AS yes FROM pg_stat_replication WHERE application_name = $2', [
        lsn,
        follower.incarnation,
      ]);
      expect(row?.yes, `${follower.name} has flushed ${lsn}`).toBe(true);
    });
  }

  /** Makes files that a test wrote the server's. */
  give(...paths: readonly string[]): void {
    const { runAs } = this.options;
    if (runAs !== undefined) for (const path of paths) chownSync(path, runAs.uid, runAs.gid);
  }

  /** As a person does with the packages' own programs, once the server has ended. */
  async startByHand(): Promise<void> {
    const { binDir, runAs } = this.options;
    const log = openSync(this.layout.logFile, 'a');
    spawn(join(binDir, 'postgres'), ['-D', this.layout.dataDir], {
      cwd: this.layout.dataDir,
      detached: true,
      stdio: ['ignore', log, log],
      ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
    }).unref();
    closeSync(log);
    await eventually(async () => {
      await this.sql('SELECT');
    });
  }

  processes() {
    return findByWorkingDirectory(resolveDirectory(this.layout.dataDir));
  }

  async end(): Promise<void> {
    await Promise.all([...this.#clients].map((client) => client.end().catch(() => {})));
    await this.server.run({ kind: 'stop', mode: 'kill' }, this.incarnation, () => {});
    await this.server.close();
    for (const { pid } of this.processes()) kill(pid, 'SIGKILL');
  }

  #open(): PostgresServer {
    const server = createPostgresServer(this.options);
    server.onEnded(() => {
      this.ended += 1;
    });
    return server;
  }
}

/** One commit that is on its way. */
export class Commit {
  readonly pid: number;
  readonly #server: TestServer;
  readonly #done: Promise<'acknowledged' | 'ended'>;
  #state: 'open' | 'acknowledged' | 'ended' = 'open';

  constructor(server: TestServer, client: pg.Client, pid: number, text: string) {
    this.#server = server;
    this.pid = pid;
    this.#done = client
      .query(text)
      .then(
        () => 'acknowledged' as const,
        () => 'ended' as const,
      )
      .then((state) => {
        this.#state = state;
        return state;
      });
  }

  /** What becomes of it: seen waiting for a standby, or acknowledged. */
  async fate(): Promise<'acknowledged' | 'ended' | 'waits'> {
    let fate: 'acknowledged' | 'ended' | 'waits' | undefined;
    await eventually(async () => {
      if (this.#state !== 'open') fate = this.#state;
      else {
        const event = await this.#server.value(`SELECT wait_event FROM pg_stat_activity WHERE pid = ${this.pid}`);
        if (event === 'SyncRep') fate = 'waits';
      }
      expect(fate).toBeDefined();
    });
    return fate ?? 'waits';
  }

  /** When it must come about. */
  get acknowledged(): Promise<'acknowledged' | 'ended'> {
    return this.#done;
  }
}

export interface TestServerPlaces {
  readonly folder: string;
  readonly owner: Owner | undefined;
  readonly socketUsers: readonly string[];
  readonly tls: (member: string) => Promise<PostgresOptions['tls']>;
}

export async function makeTestServer(places: TestServerPlaces, name: string, change: OptionsChange = {}): Promise<TestServer> {
  const memberDir = change.memberDir ?? join(places.folder, name);
  mkdirSync(memberDir, { recursive: true });
  chmodSync(memberDir, 0o755);
  return new TestServer(name, {
    binDir: BIN,
    memberDir,
    host: '127.0.0.1',
    port: await freePort(),
    logFile: join(memberDir, 'postgres.log'),
    tls: await places.tls(name),
    secrets: SECRETS,
    socketUsers: places.socketUsers,
    stopTimeoutMs: 10_000,
    ...change,
    parameters: { ...PARAMETERS, ...change.parameters },
    ...(places.owner === undefined ? {} : { runAs: places.owner }),
  });
}

async function freePort(): Promise<number> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, 'close');
  return port;
}

/** Until the expectations hold; fails with the last one that did not. */
export async function eventually(probe: () => Promise<void> | void): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await probe();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await sleep(10);
  }
}

/** SIGSTOP, until it is really stopped. */
export async function freeze(pid: number): Promise<void> {
  kill(pid, 'SIGSTOP');
  await eventually(() => expect(readProcess(pid)?.state).toBe('T'));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

function bigText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
