import { timingSafeEqual } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyHistogram } from '#core/pool/latency-histogram.ts';
import { SessionStates } from '#core/pool/session-state.ts';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import type { RoleFacts, Roles } from '#domain/ports/roles.ts';
import type { Topology, TopologyView } from '#domain/ports/topology.ts';
import { readDataRow } from '#wire/decode-backend.ts';
import { noticeResponse } from '#wire/encode-backend.ts';
import { cancelRequest } from '#wire/encode-frontend.ts';
import type { ClientSession } from './client-session.ts';
import type { ServerTls } from './connect-server.ts';
import { DatabaseWatch } from './database-watch.ts';
import { Pool } from './pool.ts';
import type { ProxyLog } from './proxy-log.ts';
import { RoleWatch } from './role-watch.ts';
import { type ServerConnection, toClients, toServers } from './server-connection.ts';
import { mayCancel } from './session-timeouts.ts';
import { TRANSACTION } from './transaction-status.ts';

const CANCEL_TIMEOUT_MS = 2000;
const CANCEL_AGAIN_MS = 5;
const CANCEL_ATTEMPTS = 100;
/** Until the servers have said how many connections they take. */
const FIRST_BUDGET = 50;
/** The rest is for people, tools and other proxies. */
const OUR_SHARE = 0.9;
const CAPACITY = `SELECT pg_catalog.current_setting('max_connections'),
  pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4 OPERATOR(pg_catalog.+)
  coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0)`;

/** What the pools share: who is the primary, how many connections there may be, and the sessions. */
export class ProxyWorld {
  config: ProxyConfig;
  readonly log: ProxyLog;
  readonly states = new SessionStates();
  readonly serverTls: () => ServerTls | null;
  readonly pools = new Map<string, Pool>();
  readonly sessions = new Map<number, ClientSession>();
  readonly latency = {
    wait: new LatencyHistogram(),
    transaction: new LatencyHistogram(),
    query: new LatencyHistogram(),
    handOver: new LatencyHistogram(),
  };
  bytesToClients = 0;
  /** Connections that are open or being opened. */
  servers = 0;
  cancelsForwarded = 0;
  cancelsDropped = 0;
  /** What the servers take, less what is reserved; null before it is known. */
  capacity: number | null = null;
  readonly #topology: Topology;
  readonly #roles: RoleWatch;
  readonly #watches = new Map<string, DatabaseWatch>();
  readonly #unsubscribe: () => void;
  #view: TopologyView;
  #drained: (() => void)[] = [];
  /** Those that are on their way. */
  readonly #cancels = new Map<ServerConnection, Promise<void>>();
  #outdated = aborter();

  constructor(options: {
    config: ProxyConfig;
    topology: Topology;
    roles: Roles;
    log: ProxyLog;
    serverTls: () => ServerTls | null;
  }) {
    this.#roles = new RoleWatch(options.roles);
    this.config = options.config;
    this.log = options.log;
    this.serverTls = options.serverTls;
    this.#topology = options.topology;
    this.#view = options.topology.view;
    this.#unsubscribe = this.#topology.subscribe((view) => this.#changed(view));
  }

  get view(): TopologyView {
    return this.#view;
  }

  get isHolding(): boolean {
    return this.#view.holding || this.#view.primary === null;
  }

  /** New work may go to the primary. */
  get canStart(): boolean {
    return !this.isHolding;
  }

  /** Aborted when another primary is known. */
  get outdated(): AbortSignal {
    return this.#outdated.signal;
  }

  /** There were server connections, and every one is gone. */
  get isLeftAlone(): boolean {
    let connects = 0;
    for (const pool of this.pools.values()) {
      if (pool.servers.size > 0) return false;
      connects += pool.stats.connects;
    }
    return connects > 0;
  }

  isCurrent(epoch: number): boolean {
    return epoch === this.#view.epoch;
  }

  #changed(view: TopologyView): Promise<void> | undefined {
    const before = this.#view;
    this.#view = view;
    if (view.epoch !== before.epoch) {
      this.log.info({ epoch: view.epoch, primary: view.primary?.name ?? null }, 'a new primary');
      this.#outdated.abort();
      this.#outdated = aborter();
      for (const pool of this.pools.values()) pool.cut();
      for (const watch of this.#watches.values()) watch.notifications.moved();
    }
    if (this.canStart && before.primary === null) for (const watch of this.#watches.values()) watch.notifications.hurry();
    if (this.canStart) {
      for (const pool of this.pools.values()) {
        pool.wake();
        for (const session of pool.sessions) if (session.server !== null) session.proceed();
      }
    }
    return view.holding ? this.#drain() : undefined;
  }

  /** A connection to the primary was lost in the midst of something. */
  doubt(epoch: number): void {
    if (this.isCurrent(epoch)) for (const pool of this.pools.values()) pool.closeIdle();
  }

  /** Resolves when no transaction is open and nothing is unanswered. */
  #drain(): Promise<void> {
    if (this.#isQuiet()) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #isQuiet(): boolean {
    for (const pool of this.pools.values()) {
      for (const server of pool.servers) if (server.isBusy || server.status !== TRANSACTION.idle) return false;
    }
    return true;
  }

  /** A connection has come free: a drain may be over, or another pool may want the place. */
  released(pool: Pool): void {
    if (this.#drained.length > 0 && this.#isQuiet()) for (const resolve of this.#drained.splice(0)) resolve();
    if (this.servers < this.budget) return;
    for (const other of this.pools.values()) {
      if (other === pool || !other.wantsMore) continue;
      if (!pool.giveUpOne()) return;
      other.wake();
      return;
    }
  }

  /** Somebody waits in a pool that has no connection at all, and this one has others: its turn comes between transactions. */
  starving(pool: Pool): Pool | undefined {
    if (this.servers < this.budget || pool.servers.size < 2) return undefined;
    for (const other of this.pools.values()) {
      if (other !== pool && other.wantsMore && other.servers.size + other.connecting === 0) return other;
    }
    return undefined;
  }

  get budget(): number {
    return this.config.limits.servers ?? this.capacity ?? FIRST_BUDGET;
  }

  /** The first connection says how many there may be. */
  measure(server: ServerConnection): void {
    if (this.capacity !== null) return;
    this.capacity = FIRST_BUDGET;
    server.ask(CAPACITY, {
      onRow: (message) => {
        const [most, reserved] = readDataRow(message) ?? [];
        const free = Number(most) - Number(reserved);
        if (free > 0) this.capacity = Math.max(1, Math.floor(free * OUR_SHARE));
      },
      onDone: () => {},
    });
    toServers.flush();
  }

  /** A connection more is within every limit, or another pool has given one up. */
  mayOpen(pool: Pool): boolean {
    const { serversPerDatabase, serversPerRole } = this.config.limits;
    const count = (of: (other: Pool) => boolean) => {
      let sum = 0;
      for (const other of this.pools.values()) if (of(other)) sum += other.servers.size + other.connecting;
      return sum;
    };
    const databaseLimit = Math.min(serversPerDatabase ?? Number.POSITIVE_INFINITY, databaseLimitOf(pool.facts));
    if (count((other) => other.database === pool.database) >= databaseLimit)
      return this.#makeRoom(pool, (other) => other.database === pool.database);
    const roleLimit = Math.min(
      serversPerRole ?? Number.POSITIVE_INFINITY,
      pool.facts.connectionLimit < 0 || pool.facts.superuser ? Number.POSITIVE_INFINITY : pool.facts.connectionLimit,
    );
    if (count((other) => other.role === pool.role) >= roleLimit) return this.#makeRoom(pool, (other) => other.role === pool.role);
    if (this.servers >= this.budget) return this.#makeRoom(pool, () => true);
    return true;
  }

  #makeRoom(pool: Pool, of: (other: Pool) => boolean): boolean {
    let best: Pool | undefined;
    for (const other of this.pools.values()) {
      if (other !== pool && of(other) && other.idle > 0 && (best === undefined || other.oldestIdleSince < best.oldestIdleSince))
        best = other;
    }
    return best?.giveUpOne() ?? false;
  }

  poolFor(facts: RoleFacts, database: string): Pool {
    const key = JSON.stringify([database, facts.role]);
    const found = this.pools.get(key);
    if (found !== undefined) {
      if (found.facts.digest !== facts.digest) found.retire();
      found.facts = facts;
      found.factsAt = performance.now();
      return found;
    }
    const pool = new Pool(this, facts, database, this.#watchOf(database));
    this.pools.set(key, pool);
    return pool;
  }

  #watchOf(database: string): DatabaseWatch {
    const found = this.#watches.get(database);
    if (found !== undefined) return found;
    const watch = new DatabaseWatch(this, database);
    this.#watches.set(database, watch);
    return watch;
  }

  /** Work in this database may start. */
  wake(database: string): void {
    for (const pool of this.pools.values()) if (pool.database === database) pool.wake();
  }

  /** A connection for LISTEN alone; any role that may connect will do. Rejects when none can be opened. */
  async openListener(
    database: string,
    onNotification: (message: Buffer) => void,
    onClosed: () => void,
  ): Promise<ServerConnection> {
    for (const pool of this.pools.values()) {
      if (pool.database === database && pool.credential !== null) return pool.openListener(onNotification, onClosed);
    }
    throw new Error(`nobody is logged in to ${database}`);
  }

  ended(session: ClientSession): void {
    this.sessions.delete(session.pid);
  }

  waited(session: ClientSession): void {
    this.latency.wait.observe((performance.now() - session.waitingSince) * 1000);
  }

  notice(session: ClientSession, place: number, of: number, hasPrimary: boolean): void {
    toClients.open(session.socket);
    toClients.add(
      noticeResponse({
        severity: 'NOTICE',
        code: '00000',
        message: hasPrimary ? 'waiting for a server connection' : 'waiting for a primary',
        detail: `It is number ${place} of ${of} in line.`,
      }),
    );
    toClients.flush();
  }

  /** The client asks by its own key. What the proxy itself asks at this moment is let through first. Resolves when nothing more comes of it. */
  async cancelBy(pid: number, secret: Buffer, attempts = CANCEL_ATTEMPTS): Promise<void> {
    const session = this.sessions.get(pid);
    if (session === undefined || session.secret.length !== secret.length || !timingSafeEqual(session.secret, secret)) return;
    const { server, reads } = session;
    if (reads.convoy !== null) return reads.convoy.cancel(session);
    if (server?.isBusy === true && server.expected[0]?.question !== null && attempts > 0) {
      await sleep(CANCEL_AGAIN_MS, undefined, { ref: false });
      return this.cancelBy(pid, secret, attempts - 1);
    }
    if (server?.isBusy === true && mayCancel(session)) return this.cancel(server);
    this.cancelsDropped += 1;
    session.cancelWait();
  }

  /** The connection is nobody else's until the request has arrived: the server closes it when it has signalled. Resolves then. */
  cancel(server: ServerConnection): Promise<void> {
    const underWay = this.#cancels.get(server);
    if (underWay !== undefined) {
      this.cancelsDropped += 1;
      return underWay;
    }
    this.cancelsForwarded += 1;
    server.cancels += 1;
    const { address } = server;
    const socket = connect(
      address.socketDir === undefined
        ? { host: address.host, port: address.port }
        : { path: join(address.socketDir, `.s.PGSQL.${address.port}`) },
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#cancels.set(server, promise);
    socket.setTimeout(CANCEL_TIMEOUT_MS, () => {
      // It may arrive at any time now.
      server.retired = true;
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#cancels.delete(server);
      server.cancels = 0;
      server.onCancelled?.();
      server.onCancelled = null;
      resolve();
    });
    socket.on('data', () => {});
    socket.end(cancelRequest(server.pid, server.secret));
    return promise;
  }

  sweep(now: number): void {
    for (const pool of this.pools.values()) pool.sweep(now);
    this.#roles.sweep(this.pools.values(), now);
  }

  close(): void {
    this.#unsubscribe();
    for (const watch of this.#watches.values()) watch.close();
    for (const pool of this.pools.values()) pool.close();
  }
}

/** As many connections as are being opened listen to it. */
function aborter(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function databaseLimitOf(facts: RoleFacts): number {
  const limit = facts.superuser ? -1 : (facts.database?.connectionLimit ?? -1);
  return limit < 0 ? Number.POSITIVE_INFINITY : limit;
}
