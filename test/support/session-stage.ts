import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { openPlainServers } from '#adapters/plain-servers/open-plain-servers.ts';
import { type ProxyConfig, proxyFileSchema } from '#domain/config/proxy-config.ts';
import { createProxy, type Proxy as RunningProxy } from '#programs/proxy/proxy.ts';
import { HOST, type Login, PlainServer, writeFor } from './plain-server.ts';
import { RawClient } from './raw-client.ts';

export type Startup = Readonly<Record<string, string>>;

/** A database on the server, reached directly or through a proxy in this process. */
export interface Place {
  readonly port: number;
  readonly database: string;
  readonly proxy: RunningProxy | null;
}

type OpenSource = Awaited<ReturnType<typeof openPlainServers>>;

/** One server, and as many small proxies in front of it as a test wants. */
export class SessionStage {
  readonly server: PlainServer;
  readonly #folder: string;
  readonly #config: ProxyConfig;
  readonly #source: OpenSource;
  readonly #logins: readonly Login[];
  readonly #common = new Map<boolean, Promise<string>>();
  #databases = 0;

  private constructor(folder: string, server: PlainServer, config: ProxyConfig, source: OpenSource, logins: readonly Login[]) {
    this.#folder = folder;
    this.server = server;
    this.#config = config;
    this.#source = source;
    this.#logins = logins;
  }

  /** With the roles `app` and `other`, which are nothing special, and `super`, a superuser. */
  static async start(parameters: Readonly<Record<string, string>> = {}): Promise<SessionStage> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-sessions-'));
    chmodSync(folder, 0o755);
    const server = await PlainServer.start(join(folder, 'server'), {
      parameters: { max_connections: '100', max_prepared_transactions: '10', autovacuum: 'off', ...parameters },
    });
    const logins = [await server.addLogin('app'), await server.addLogin('other'), await server.addLogin('super', 'SUPERUSER')];
    await server.sql('CREATE ROLE worker; CREATE ROLE reader; GRANT worker, reader TO app');
    const passwordFile = writeFor(undefined, join(folder, 'password'), server.superuser.password);
    const { source, ...config } = proxyFileSchema.parse({
      listen: { host: HOST, port: 0 },
      source: {
        kind: 'servers',
        servers: [`${HOST}:${server.port}`],
        user: server.superuser.user,
        passwordFile,
        // A crowded machine is no lost primary.
        connectMs: 5000,
        answerMs: 5000,
      },
    });
    if (source.kind !== 'servers') throw new Error('another kind of source');
    const silent = () => {};
    const opened = await openPlainServers(source, { info: silent, warn: silent, error: silent });
    return new SessionStage(folder, server, config, opened, logins);
  }

  /** A new database that `setup` has been run in by `app`. */
  async database(setup = ''): Promise<string> {
    const database = `stage_${this.#databases++}`;
    await this.server.sql(`CREATE DATABASE ${database} OWNER app`);
    await this.server.sql(`ALTER SCHEMA public OWNER TO app; SET ROLE app; ${setup}`, database);
    return database;
  }

  /** For scripts that define nothing lasting. */
  common(through: boolean): Promise<string> {
    const found = this.#common.get(through) ?? this.database();
    this.#common.set(through, found);
    return found;
  }

  async drop(database: string): Promise<void> {
    await this.server.sql(`DROP DATABASE ${database} WITH (FORCE)`);
  }

  async proxy(serversPerPool: number, timeouts: Partial<ProxyConfig['timeouts']> = {}): Promise<RunningProxy> {
    const proxy = createProxy({
      config: {
        ...this.#config,
        limits: { ...this.#config.limits, serversPerPool },
        timeouts: { ...this.#config.timeouts, ...timeouts },
      },
      topology: this.#source.topology,
      roles: this.#source.roles,
      serverTls: () => null,
      clientTls: () => null,
      log: pino({ level: process.env.MATRIARCH_TEST_LOG ?? 'silent' }),
    });
    await proxy.start();
    return proxy;
  }

  password(user: string): string {
    return this.#logins.find((login) => login.user === user)?.password ?? '';
  }

  connect(
    { port, database }: Pick<Place, 'port' | 'database'>,
    { user = 'app', ...parameters }: Startup = {},
  ): Promise<RawClient> {
    const secret = { kind: 'password' as const, password: this.password(user) };
    return RawClient.connect({ host: HOST, port, user, database, secret, parameters });
  }

  async end(): Promise<void> {
    await this.#source.topology.close();
    await this.server.end();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}
