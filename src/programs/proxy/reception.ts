import { randomBytes, randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { EMPTY_STATE, type SessionState } from '#core/pool/session-state.ts';
import { authenticationOk, backendKeyData, errorResponse, parameterStatus, readyForQuery } from '#wire/encode-backend.ts';
import { negotiate } from '#wire/negotiate.ts';
import { ClientChannel, type ClientSecurity } from './client-channel.ts';
import { type Admitted, authenticate, LoginError, type LoginSettings } from './client-login.ts';
import { ClientSession } from './client-session.ts';
import { connectServer, LoginRefused } from './connect-server.ts';
import { passThrough } from './pass-through.ts';
import type { Pool } from './pool.ts';
import { type Tally, tally } from './proxy-stats.ts';
import type { ProxyWorld } from './proxy-world.ts';
import { type Refusal, refusal } from './refusals.ts';
import { whyNone } from './why-none.ts';

export interface ReceptionSettings extends LoginSettings {
  readonly security: () => ClientSecurity | null;
}

interface Request {
  readonly user: string;
  readonly database: string;
  readonly minor: 0 | 2;
  readonly parameters: ReadonlyMap<string, string>;
}

const OURS = new Set(['user', 'database', 'application_name', 'replication']);
/** Connections that have not said what they want, beside the clients. */
const MORE_GUESTS = 100;
const LINGER_MS = 1000;
const SECRET_BYTES = { 0: 4, 2: 32 } as const;

/** Takes clients from their first byte to their session. */
export class Reception {
  readonly #world: ProxyWorld;
  readonly #settings: ReceptionSettings;
  /** Those that are not in yet, and since when a login may last; `Infinity` behind the password. */
  readonly #guests = new Map<ClientChannel, number>();
  /** Of them, those that have asked for a session. */
  readonly #entering = new Set<ClientChannel>();
  readonly refused: Tally = new Map();
  readonly #passing = new Set<Socket>();
  total = 0;
  #closed = false;

  constructor(world: ProxyWorld, settings: ReceptionSettings) {
    this.#world = world;
    this.#settings = settings;
  }

  receive(socket: Socket): void {
    this.total += 1;
    const { size } = this.#world.sessions;
    if (this.#closed || size + this.#passing.size + this.#guests.size >= 2 * this.#world.config.limits.clients + MORE_GUESTS) {
      tally(this.refused, 'clients');
      socket.on('error', () => {});
      socket.end(errorResponse({ severity: 'FATAL', ...refusal(this.#closed ? 'shuttingDown' : 'tooManyClients') }));
      setTimeout(() => socket.destroy(), 1000).unref();
      return;
    }
    const channel = new ClientChannel(socket, this.#settings.security);
    this.#guests.set(channel, performance.now());
    this.#serve(channel)
      .catch((error: Error) => this.#refuse(channel, error))
      .finally(() => {
        this.#guests.delete(channel);
        this.#entering.delete(channel);
      });
  }

  /** Counted when it is known what is wanted: a cancel has to get through when all places are taken. */
  #enter(channel: ClientChannel): void {
    const { sessions, config } = this.#world;
    if (sessions.size + this.#passing.size + this.#entering.size >= config.limits.clients) {
      tally(this.refused, 'clients');
      throw new LoginError(refusal('tooManyClients'));
    }
    this.#entering.add(channel);
  }

  async #serve(channel: ClientChannel): Promise<void> {
    const startup = await channel.startup();
    if (startup.kind === 'invalid') throw new LoginError(startup);
    if (startup.kind === 'cancel') {
      // As PostgreSQL does: whoever waits for the end knows that no later statement will be hit.
      await this.#world.cancelBy(startup.pid, startup.secret);
      channel.socket.end();
      setTimeout(() => channel.socket.destroy(), 1000).unref();
      return;
    }
    if (this.#world.config.tls.mode === 'require' && channel.secure === null)
      throw new LoginError({ code: '28000', message: 'the proxy takes connections with TLS only' });
    this.#enter(channel);
    const { parameters } = startup;
    const { minor, unknown, answer } = negotiate(startup.minor, parameters);
    if (answer !== null) channel.socket.write(answer);
    const user = parameters.get('user') ?? '';
    const database = parameters.get('database') ?? user;
    const replication = parameters.get('replication');
    const replicates = replication !== undefined && !/^(false|off|no|0|f|n)$/i.test(replication);
    // Whatever database is named then (libpq says "replication"), PostgreSQL takes no notice of it.
    const physical = replicates && replication !== 'database';
    const admitted = await authenticate(channel, user, physical ? null : database, this.#settings);
    // From here on the patience is that of the queue.
    this.#guests.set(channel, Number.POSITIVE_INFINITY);
    const kept = new Map([...parameters].filter(([name]) => !unknown.includes(name)));
    const request: Request = { user, database, minor, parameters: kept };
    if (replicates) return this.#replicate(channel, request, admitted);
    await this.#open(channel, request, admitted);
  }

  async #open(channel: ClientChannel, request: Request, { facts, credential }: Admitted): Promise<void> {
    const { database, parameters } = request;
    const pool = this.#world.poolFor(facts, database);
    pool.setCredential(credential);
    if (pool.credential === null)
      throw new LoginError({
        code: '28000',
        message: `the proxy cannot act as role "${facts.role}"`,
        detail: 'Its certificate is good, but the role has a password that no client has shown to this proxy yet.',
        hint: 'Log in once with the password, or take it from the role (ALTER ROLE … PASSWORD NULL).',
      });
    const startup = new Map([...parameters].filter(([name]) => !OURS.has(name)));
    const signature = JSON.stringify([...startup].sort(([a], [b]) => (a < b ? -1 : 1)));
    this.#checkLimits(pool);
    const reported = await pool.greeting(signature, startup).catch((why: Refusal) => {
      throw new LoginError(why);
    });
    if (channel.socket.destroyed) return;
    this.#checkLimits(pool);
    const name = parameters.get('application_name');
    const greeted = name === undefined ? reported : reported.with('application_name', name);
    const { pid, secret } = this.#key(request.minor);
    const session: ClientSession = new ClientSession({
      socket: channel.socket,
      pid,
      secret,
      login: facts.role,
      database,
      home: pool,
      initial: this.#initial(name),
      signature,
      reported: greeted,
      now: performance.now(),
    });
    this.#entering.delete(channel);
    this.#world.sessions.set(pid, session);
    pool.sessions.add(session);
    const statuses = [...greeted.values].map(([key, value]) => parameterStatus(key, value));
    channel.socket.write(Buffer.concat([authenticationOk(), ...statuses, backendKeyData(pid, secret), readyForQuery('I')]));
    channel.handTo((bytes, length) => session.messages.receive(bytes, length));
  }

  #initial(name: string | undefined): SessionState {
    if (name === undefined || name === '') return EMPTY_STATE;
    return this.#world.states.intern(new Map([['application_name', name]]), new Map());
  }

  #key(minor: 0 | 2): { readonly pid: number; readonly secret: Buffer } {
    let pid = 0;
    do pid = randomInt(1, 2 ** 31 - 1);
    while (this.#world.sessions.has(pid));
    return { pid, secret: randomBytes(SECRET_BYTES[minor]) };
  }

  #checkLimits(pool: Pool): void {
    const { clientsPerRole, clientsPerDatabase } = this.#world.config.limits;
    const why = whyNone(pool.facts);
    if (why !== null) throw new LoginError(why);
    const count = (of: (other: Pool) => boolean) => {
      let sum = 0;
      for (const other of this.#world.pools.values()) if (of(other)) sum += other.sessions.size;
      return sum;
    };
    if (clientsPerRole !== undefined && count((other) => other.role === pool.role) >= clientsPerRole)
      throw new LoginError({ code: '53300', message: `too many connections for role "${pool.role}"` });
    if (clientsPerDatabase !== undefined && count((other) => other.database === pool.database) >= clientsPerDatabase)
      throw new LoginError({ code: '53300', message: `too many connections for database "${pool.database}"` });
  }

  /** A connection of its own, byte by byte. */
  async #replicate(channel: ClientChannel, { parameters, database }: Request, { facts, credential }: Admitted): Promise<void> {
    const { primary } = this.#world.view;
    const signal = this.#world.outdated;
    if (primary === null) throw new LoginError(refusal('noPrimary'));
    if (credential === null) throw new LoginError({ code: '28000', message: 'replication takes a password' });
    const startup = new Map([...parameters].filter(([name]) => name !== 'user' && name !== 'database'));
    const server = await connectServer({
      address: primary,
      role: facts.role,
      database,
      parameters: startup,
      credential,
      tls: this.#world.serverTls(),
      connectTimeoutMs: this.#world.config.timeouts.connectMs,
      signal,
    }).catch((error: Error) => {
      throw error instanceof LoginRefused ? error : new LoginError({ ...refusal('unreachable'), detail: error.message });
    });
    // A server that was replaced and hangs would never end it.
    const cut = () => server.socket.destroy();
    signal.addEventListener('abort', cut);
    server.socket.once('close', () => signal.removeEventListener('abort', cut));
    const { fromClient, fromServer } = passThrough(channel.socket, server.socket);
    server.handTo(fromServer);
    this.#entering.delete(channel);
    this.#passing.add(channel.socket);
    channel.socket.once('close', () => this.#passing.delete(channel.socket));
    const statuses = [...server.reported.values].map(([key, value]) => parameterStatus(key, value));
    channel.socket.write(
      Buffer.concat([authenticationOk(), ...statuses, backendKeyData(server.pid, server.secret), readyForQuery('I')]),
    );
    channel.handTo(fromClient);
  }

  #refuse(channel: ClientChannel, error: Error): void {
    const { socket } = channel;
    const why = refusalOf(error);
    if (why !== null) {
      tally(this.refused, why.code);
      if (!socket.destroyed) socket.end(errorResponse({ severity: 'FATAL', ...why }));
    } else if (!socket.destroyed) socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  sweep(now: number): void {
    for (const [channel, since] of this.#guests) {
      if (now - since <= this.#world.config.timeouts.loginMs) continue;
      tally(this.refused, 'timeout');
      this.#guests.delete(channel);
      // Before its startup packet a client could not know what to make of an answer.
      if (this.#entering.has(channel)) channel.socket.write(errorResponse({ severity: 'FATAL', ...refusal('loginTimeout') }));
      channel.socket.destroySoon();
      setTimeout(() => channel.socket.destroy(), LINGER_MS).unref();
    }
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#passing) socket.destroy();
  }
}

function refusalOf(error: Error): Refusal | null {
  if (error instanceof LoginError) return error.refusal;
  if (error instanceof LoginRefused) return { code: error.fields.get('C') ?? '08006', message: error.message };
  return null;
}
