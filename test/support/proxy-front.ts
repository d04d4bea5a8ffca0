import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { openPlainServers } from '#adapters/plain-servers/open-plain-servers.ts';
import { type ProxyFile, proxyFileSchema } from '#domain/config/proxy-config.ts';
import { type ClientTls, createProxy, type ServerTls } from '#programs/proxy/proxy.ts';
import { FrameChannel } from '#wire/testing/frame-channel.ts';
import { HOST, type Login, PlainServer, type PlainServerOptions, writeFor } from './plain-server.ts';
import { RawClient } from './raw-client.ts';

export interface FrontOptions {
  readonly limits?: Readonly<Record<string, number | boolean>>;
  readonly timeouts?: Readonly<Record<string, number>>;
  /** Where the server is reached, when not directly. */
  readonly serverPort?: number;
  readonly tlsMode?: 'disable' | 'allow' | 'require';
  readonly clientTls?: () => ClientTls | null;
  readonly serverTls?: () => ServerTls | null;
}

/** A server and the machinery to put proxies of this process in front of it. */
export class Front {
  readonly server: PlainServer;
  /** Everything that the proxies have logged. */
  readonly lines: string[] = [];
  readonly folder: string;
  readonly #passwordFile: string;
  readonly #ends: (() => Promise<unknown>)[] = [];

  private constructor(folder: string, server: PlainServer, passwordFile: string) {
    this.folder = folder;
    this.server = server;
    this.#passwordFile = passwordFile;
  }

  static async start(options: PlainServerOptions = {}): Promise<Front> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-front-'));
    chmodSync(folder, 0o755);
    const server = await PlainServer.start(join(folder, 'server'), options);
    return new Front(folder, server, writeFor(undefined, join(folder, 'password'), server.superuser.password));
  }

  config(options: FrontOptions = {}): ProxyFile {
    const { limits = {}, timeouts = {}, tlsMode = 'allow', serverPort = this.server.port } = options;
    return proxyFileSchema.parse({
      listen: { port: 0 },
      limits,
      timeouts: { connectMs: 5000, ...timeouts },
      source: {
        kind: 'servers',
        servers: [`${HOST}:${serverPort}`],
        user: this.server.superuser.user,
        passwordFile: this.#passwordFile,
        // A crowded machine is no lost primary.
        connectMs: 5000,
        answerMs: 5000,
      },
      tls: { mode: tlsMode === 'require' ? 'allow' : tlsMode },
    });
  }

  async proxy(options: FrontOptions = {}): Promise<ProxyInFront> {
    const file = this.config(options);
    const log = (line: unknown, text?: string) => this.lines.push(JSON.stringify([line, text]));
    const quiet = { info() {}, warn() {}, error() {} };
    if (file.source.kind !== 'servers') throw new Error('another source');
    const { topology, roles } = await openPlainServers(file.source, quiet);
    const proxy = createProxy({
      config: { ...file, tls: { ...file.tls, mode: options.tlsMode ?? 'allow' } },
      topology,
      roles,
      serverTls: options.serverTls ?? (() => null),
      clientTls: options.clientTls ?? (() => null),
      log: { info: log, warn: log, error: log, debug: log } as never,
    });
    await proxy.start();
    const end = async () => {
      await proxy.stop();
      await topology.close();
    };
    this.#ends.push(end);
    return new ProxyInFront(this, proxy);
  }

  /** Proxies started since the last call. */
  async endProxies(): Promise<void> {
    for (const end of this.#ends.splice(0)) await end();
  }

  async end(): Promise<void> {
    await this.endProxies();
    await this.server.end();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }
}

/** One proxy, and ways to reach it. */
export class ProxyInFront {
  readonly front: Front;
  readonly proxy: ReturnType<typeof createProxy>;

  constructor(front: Front, proxy: ReturnType<typeof createProxy>) {
    this.front = front;
    this.proxy = proxy;
  }

  get port(): number {
    return this.proxy.port;
  }

  async client({ user, password }: Login, more: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = new pg.Client({ host: HOST, port: this.port, database: 'postgres', user, password, ...more });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** What a login ends with: `ok`, or its SQLSTATE and message. */
  async attempt(login: Login, more: pg.ClientConfig = {}): Promise<string> {
    return this.client(login, more).then(
      async (client) => {
        await client.end();
        return 'ok';
      },
      (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
    );
  }

  raw({ user, password }: Login, parameters: Readonly<Record<string, string>> = {}): Promise<RawClient> {
    return RawClient.connect({
      host: HOST,
      port: this.port,
      user,
      database: 'postgres',
      secret: { kind: 'password', password },
      parameters,
    });
  }

  /** A connection on which nothing has been said. */
  socket(): Socket {
    const socket = connect({ host: HOST, port: this.port, noDelay: true });
    socket.on('error', () => {});
    return socket;
  }

  channel(): { readonly socket: Socket; readonly channel: FrameChannel } {
    const socket = this.socket();
    return { socket, channel: new FrameChannel(socket) };
  }

  /** Clients by state, and server connections: what has to be as before when everything is over. */
  get counts(): { readonly clients: number; readonly active: number; readonly waiting: number; readonly pinned: number } {
    const { clients, pools } = this.proxy.stats();
    let pinned = 0;
    let active = 0;
    for (const pool of pools.values()) {
      for (const count of pool.pinned.values()) pinned += count;
      active += pool.servers.active;
    }
    return { clients: clients.connected, active, waiting: clients.waiting, pinned };
  }

  get servers(): number {
    let sum = 0;
    for (const { servers } of this.proxy.stats().pools.values()) sum += servers.active + servers.idle + servers.connecting;
    return sum;
  }
}

/** Polls `check` until it does not throw. */
export async function until(check: () => unknown, patienceMs = 15_000): Promise<void> {
  const end = performance.now() + patienceMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** As md5 passwords are stored. */
export function md5Verifier({ user, password }: Login): string {
  return `md5${createHash('md5')
    .update(password + user)
    .digest('hex')}`;
}

export function newPassword(): string {
  return randomBytes(12).toString('hex');
}
