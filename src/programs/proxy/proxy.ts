import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { Roles } from '#domain/ports/roles.ts';
import type { Topology } from '#domain/ports/topology.ts';
import { tlsServerEndPoint } from '#wire/end-point-hash.ts';
import type { ClientSecurity } from './client-channel.ts';
import { collectStats } from './collect-stats.ts';
import type { ServerTls } from './connect-server.ts';
import type { ProxyLog } from './proxy-log.ts';
import type { ProxyStats } from './proxy-stats.ts';
import { ProxyWorld } from './proxy-world.ts';
import { Reception } from './reception.ts';
import { refusal } from './refusals.ts';
import { checkTimeouts } from './session-timeouts.ts';
import { listenPaused } from './shared-buffer.ts';

export type { ServerTls } from './connect-server.ts';
export type { ProxyLog } from './proxy-log.ts';

export interface ClientTls {
  /** PEM, with its chain. */
  readonly certificate: string;
  readonly key: string;
  /** Authorities whose certificates stand for a password. */
  readonly clientCa?: string;
}

export interface ProxyOptions {
  readonly config: ProxyConfig;
  readonly topology: Topology;
  readonly roles: Roles;
  /** For connections to servers over TCP; null: without TLS. */
  readonly serverTls: () => ServerTls | null;
  /** For clients; null: none is offered. */
  readonly clientTls: () => ClientTls | null;
  readonly log: ProxyLog;
}

export interface Proxy {
  readonly port: number;
  /** Listens. Errors: `port.taken`. */
  start(): Promise<void>;
  /** Limits, timeouts and TLS, for everything from now on. */
  reload(config: ProxyConfig): void;
  stats(): ProxyStats;
  /** No new clients; those between transactions get 57P01. Resolves when all are gone, or after `timeouts.drainMs`. */
  drain(): Promise<void>;
  /** Ends at once. */
  stop(): Promise<void>;
}

const SWEEP_MS = 100;

export function createProxy(options: ProxyOptions): Proxy {
  const world = new ProxyWorld(options);
  return new RunningProxy(options, world);
}

class RunningProxy implements Proxy {
  readonly #options: ProxyOptions;
  readonly #world: ProxyWorld;
  readonly #reception: Reception;
  readonly #server: Server;
  #security: { readonly of: ClientTls; readonly security: ClientSecurity; readonly binding: Buffer | null } | null = null;
  #unfit = '';
  #timer: NodeJS.Timeout | null = null;
  #draining: (() => void) | null = null;
  port = 0;

  constructor(options: ProxyOptions, world: ProxyWorld) {
    this.#options = options;
    this.#world = world;
    this.#reception = new Reception(world, {
      roles: options.roles,
      mockSecret: randomBytes(32),
      channelBinding: () => this.#secured()?.binding ?? null,
      security: () => this.#secured()?.security ?? null,
    });
    this.#server = listenPaused((socket: Socket) => this.#reception.receive(socket));
  }

  async start(): Promise<void> {
    const { host, port } = this.#options.config.listen;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once('error', reject);
    this.#server.listen({ host, port, backlog: 4096 }, resolve);
    await promise.catch((error: Error) => fail('port.taken', `${host}:${port}: ${error.message}`, error));
    const address = this.#server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : port;
    this.#timer = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** As the files are now: built again only when they have changed. */
  #secured() {
    const tls = this.#world.config.tls.mode === 'disable' ? null : this.#options.clientTls();
    if (tls === null) return null;
    const { of } = this.#security ?? {};
    if (of?.certificate === tls.certificate && of.key === tls.key && of.clientCa === tls.clientCa) return this.#security;
    if (this.#unfit !== tls.certificate + tls.key) return this.#secure(tls);
    return this.#security;
  }

  /** What does not fit together is said once, and what was good before stays in use. */
  #secure(tls: ClientTls) {
    if (!new X509Certificate(tls.certificate).checkPrivateKey(createPrivateKey(tls.key))) {
      this.#unfit = tls.certificate + tls.key;
      this.#options.log.error({ part: 'tls' }, 'the key does not belong to the certificate that clients are to be shown');
      return this.#security;
    }
    const context = createSecureContext({
      cert: tls.certificate,
      key: tls.key,
      minVersion: 'TLSv1.2',
      ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa }),
    });
    this.#security = {
      of: tls,
      security: { context, asksCertificate: tls.clientCa !== undefined },
      binding: tlsServerEndPoint(new X509Certificate(tls.certificate).raw),
    };
    return this.#security;
  }

  #sweep(): void {
    const now = performance.now();
    this.#world.sweep(now);
    this.#reception.sweep(now);
    const { queryMs, idleInTransactionMs, clientIdleMs } = this.#world.config.timeouts;
    if (queryMs + idleInTransactionMs + clientIdleMs > 0)
      for (const session of this.#world.sessions.values())
        checkTimeouts(session, now, this.#world.config.timeouts, (server) => void this.#world.cancel(server));
    if (this.#draining === null) return;
    for (const session of [...this.#world.sessions.values()])
      if (session.isIdle || session.isIdlePinned) session.end(refusal('shuttingDown'));
    if (this.#world.sessions.size === 0) this.#draining();
  }

  reload(config: ProxyConfig): void {
    this.#world.config = config;
    for (const pool of this.#world.pools.values()) pool.wake();
  }

  stats(): ProxyStats {
    return collectStats(this.#world, this.#reception);
  }

  async drain(): Promise<void> {
    this.#server.close();
    this.#reception.close();
    if (this.#draining !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#world.config.timeouts.drainMs);
    this.#draining = resolve;
    this.#sweep();
    await promise;
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer ?? undefined);
    this.#server.close();
    this.#reception.close();
    for (const session of [...this.#world.sessions.values()]) session.end(refusal('shuttingDown'));
    this.#world.close();
  }
}
