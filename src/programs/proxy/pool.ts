import { EMPTY_STATE, type SessionStates } from '#core/pool/session-state.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';
import type { Hazards } from '#sql/hazards.ts';
import { sameCredential } from './client-login.ts';
import type { ClientSession } from './client-session.ts';
import { type Credential, connectServer, LoginRefused } from './connect-server.ts';
import type { DatabaseWatch } from './database-watch.ts';
import { Guests } from './guests.ts';
import { IdleServers } from './idle-servers.ts';
import { PreparedOnServer } from './prepared-on-server.ts';
import type { ProxyWorld } from './proxy-world.ts';
import { type Refusal, refusal } from './refusals.ts';
import type { Reported } from './reported.ts';
import { ServerConnection, toServers } from './server-connection.ts';
import type { SessionHome, SessionStats } from './session-home.ts';
import { Statements } from './statements.ts';
import { TRANSACTION } from './transaction-status.ts';

const RETRY_CONNECT_MS = 100;
const LISTENER = new Map([['application_name', 'matriarch-proxy']]);

/** The server connections of one role in one database, and the sessions that wait for one. */
export class Pool implements SessionHome {
  readonly role: string;
  readonly database: string;
  readonly statements = new Statements();
  readonly askingCurrval = new Set<string>();
  readonly waiting = new Set<ClientSession>();
  readonly servers = new Set<ServerConnection>();
  readonly sessions = new Set<ClientSession>();
  readonly stats: SessionStats & { connects: number; failedConnects: number };
  readonly watch: DatabaseWatch;
  credential: Credential | null = null;
  facts: RoleFacts;
  connecting = 0;
  /** What servers report after a startup with these parameters; a client can be greeted by it. */
  readonly greetings = new Map<string, Reported>();
  readonly #world: ProxyWorld;
  readonly #idle = new IdleServers();
  readonly #parameters = new Map<string, ReadonlyMap<string, string>>();
  #retry: NodeJS.Timeout | null = null;
  #lastRefusal: Refusal | null = null;
  readonly #guests = new Guests();

  constructor(world: ProxyWorld, facts: RoleFacts, database: string, watch: DatabaseWatch) {
    this.#world = world;
    this.role = facts.role;
    this.database = database;
    this.facts = facts;
    this.watch = watch;
    this.stats = {
      transactions: 0,
      latency: world.latency,
      errors: new Map(),
      bytesFromClients: 0,
      statements: 0,
      pinned: new Map(),
      probes: 0,
      handOvers: 0,
      lostTransactions: 0,
      retriedReads: 0,
      unknownOutcomes: 0,
      preparedHits: 0,
      preparedMisses: 0,
      connects: 0,
      failedConnects: 0,
    };
  }

  get states(): SessionStates {
    return this.#world.states;
  }

  get preparedPerServer(): number {
    return this.#world.config.limits.preparedPerServer;
  }

  get idle(): number {
    return this.#idle.size;
  }

  get oldestIdleSince(): number {
    return this.#idle.oldest?.idleSince ?? Number.POSITIVE_INFINITY;
  }

  hazards(): Hazards {
    return this.watch.hazards;
  }

  customSettings(named: ReadonlySet<string>): readonly string[] {
    this.watch.noteSettings(named);
    return this.watch.customSettings;
  }

  isHolding(): boolean {
    return this.#world.isHolding;
  }

  catalogChanged(): void {
    this.watch.changed();
  }

  get generation(): number {
    return this.watch.generation;
  }

  /**
   * What a server reports to sessions with these startup parameters; a connection is opened for it where none has been yet. Rejects
   * with a `Refusal`.
   */
  greeting(signature: string, parameters: ReadonlyMap<string, string>): Promise<Reported> {
    this.#parameters.set(signature, parameters);
    const known = this.greetings.get(signature);
    if (known !== undefined) return Promise.resolve(known);
    const greeted = this.#guests.wait(signature);
    this.#grow();
    return greeted;
  }

  #greet(signature: string, reported: Reported): void {
    this.greetings.set(signature, reported);
    this.#guests.greet(signature, reported);
  }

  checkout(session: ClientSession): ServerConnection | null {
    if (this.waiting.size === 0 && this.#world.canStart) {
      const server = this.#idle.take(session);
      if (server !== null) return server;
    }
    if (this.waiting.size >= this.#world.config.limits.waitingPerPool) {
      queueMicrotask(() => session.refused(refusal('queueFull')));
      return null;
    }
    this.waiting.add(session);
    this.#grow();
    return null;
  }

  withdraw(session: ClientSession): void {
    this.waiting.delete(session);
  }

  ended(session: ClientSession): void {
    this.sessions.delete(session);
    this.#world.ended(session);
  }

  listen(session: ClientSession, server: ServerConnection, done: (error: string | null) => void): void {
    this.watch.notifications.takeOver(session, server, done);
  }

  isShared(session: ClientSession, channel: string): boolean {
    return this.watch.notifications.has(session, channel);
  }

  sharedChannels(session: ClientSession): string[] {
    return this.watch.notifications.channelsOf(session);
  }

  unlisten(session: ClientSession, channels: ReadonlySet<string> | 'all'): void {
    this.watch.notifications.unsubscribe(session, channels);
  }

  release(server: ServerConnection): void {
    if (server.closed) return;
    if (server.cancels > 0) {
      server.onCancelled = () => this.release(server);
      return;
    }
    if (server.retired || !this.#world.isCurrent(server.epoch) || performance.now() - server.openedAt > this.#lifetimeMs) {
      server.close('it was retired');
      return;
    }
    if (this.watch.isStale && this.watch.isDue(performance.now())) return this.#learnAgain(server);
    server.idleSince = performance.now();
    const next = this.#world.canStart ? this.#nextFor(server) : null;
    if (next === null) {
      this.#idle.add(server);
      if (this.waiting.size > 0 || this.#guests.size > 0) this.#grow();
      this.#world.released(this);
      return;
    }
    this.waiting.delete(next);
    this.#world.waited(next);
    next.granted(server);
  }

  #learnAgain(server: ServerConnection): void {
    this.watch.learn(server, () => this.release(server));
    toServers.flush();
  }

  get #lifetimeMs(): number {
    return this.#world.config.timeouts.serverLifetimeMs;
  }

  #nextFor(server: ServerConnection): ClientSession | null {
    const first = this.waiting.values().next().value;
    return first !== undefined && first.signature === server.signature ? first : null;
  }

  /** Its client has left in the midst of something: what runs is cancelled, what was open is rolled back, and it is of use again. */
  abandon(server: ServerConnection): void {
    this.#world.cancel(server);
    server.close('its client left in the midst of a statement');
  }

  /** Serves the first in line as far as connections are free, may be opened, or can be taken from elsewhere. */
  #grow(): void {
    if (!this.#world.canStart) return;
    for (;;) {
      const first = this.waiting.values().next().value;
      const server = first === undefined ? null : this.#idle.take(first);
      if (first === undefined || server === null) break;
      this.waiting.delete(first);
      this.#world.waited(first);
      first.granted(server);
    }
    const first = this.waiting.values().next().value ?? this.#guests.first;
    if (first === undefined || this.connecting >= this.waiting.size + this.#guests.size || this.#retry !== null) return;
    if (this.servers.size + this.connecting >= this.#limit) {
      // All are of another startup: the one that is free the longest makes room.
      this.#idle.oldest?.close('it made room for a session with other startup parameters');
      if (this.servers.size + this.connecting >= this.#limit) return;
    }
    if (!this.#world.mayOpen(this)) return;
    void this.#open(first.signature);
  }

  get #limit(): number {
    const { serversPerPool } = this.#world.config.limits;
    const { connectionLimit } = this.facts;
    return connectionLimit < 0 ? serversPerPool : Math.min(serversPerPool, connectionLimit);
  }

  async #open(signature: string): Promise<void> {
    if (this.#world.view.primary === null || this.credential === null) return;
    this.connecting += 1;
    this.#world.servers += 1;
    try {
      const parameters = this.#parameters.get(signature) ?? new Map<string, string>();
      const server = await this.#connect(signature, parameters, (closed, why) => this.#closed(closed, why));
      this.servers.add(server);
      this.#greet(signature, server.reported);
      this.#welcome(server);
    } catch (error) {
      this.#world.servers -= 1;
      this.stats.failedConnects += 1;
      this.#failed(error as Error);
    } finally {
      this.connecting -= 1;
    }
    this.#grow();
  }

  async #connect(
    signature: string,
    parameters: ReadonlyMap<string, string>,
    onClosed: (server: ServerConnection, why: string) => void,
  ): Promise<ServerConnection> {
    const { primary, epoch } = this.#world.view;
    const { credential } = this;
    if (primary === null || credential === null) throw new Error('there is no primary');
    const made = await connectServer({
      address: primary,
      role: this.role,
      database: this.database,
      parameters,
      credential,
      tls: this.#world.serverTls(),
      connectTimeoutMs: this.#world.config.timeouts.connectMs,
    });
    const server = new ServerConnection({
      ...made,
      epoch,
      now: performance.now(),
      address: primary,
      signature,
      prepared: new PreparedOnServer(),
      events: { onClosed },
    });
    made.handTo((bytes, length) => server.receive(bytes, length));
    this.stats.connects += 1;
    this.#world.measure(server);
    this.#lastRefusal = null;
    return server;
  }

  /** One of its own for LISTEN, beside the pool. */
  async openListener(onNotification: (message: Buffer) => void, onClosed: () => void): Promise<ServerConnection> {
    this.#world.servers += 1;
    const closed = () => {
      this.#world.servers -= 1;
      onClosed();
    };
    try {
      const server = await this.#connect('', LISTENER, closed);
      server.onNotification = onNotification;
      return server;
    } catch (error) {
      this.#world.servers -= 1;
      throw error;
    }
  }

  /** Nobody gets it before it is known what the statements of this database may do to it. */
  #welcome(server: ServerConnection): void {
    if (server.closed) return;
    this.watch.learn(server, () => {
      if (server.status === TRANSACTION.idle && server.session === EMPTY_STATE) this.release(server);
    });
    toServers.flush();
  }

  #failed(error: Error): void {
    if (error instanceof LoginRefused) {
      const code = error.fields.get('C') ?? '08006';
      const message = error.fields.get('M') ?? error.message;
      this.#lastRefusal = { code, message };
      this.#world.log.warn({ role: this.role, database: this.database, code }, `a server refused the login: ${message}`);
      // Starting up, shutting down, or full: it may be otherwise soon.
      const passes = code.startsWith('57P') || (code === '53300' && this.servers.size > 0);
      if (!passes) return this.#refuseWaiting(this.#lastRefusal);
    } else {
      this.#world.log.warn({ role: this.role, database: this.database }, `a server could not be reached: ${error.message}`);
    }
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#grow();
    }, RETRY_CONNECT_MS);
    this.#retry.unref();
  }

  #refuseWaiting(why: Refusal): void {
    for (const session of [...this.waiting]) {
      this.waiting.delete(session);
      session.refused(why);
    }
    this.#guests.refuse(why);
  }

  #closed(server: ServerConnection, why: string): void {
    this.servers.delete(server);
    this.#world.servers -= 1;
    this.#world.bytesToClients += server.bytesIn;
    this.#idle.remove(server);
    const borrower = server.borrower as ClientSession | null;
    // Those beside it are probably gone as well, and a statement that is sent again should not find that out.
    if (borrower !== null) this.#world.doubt(server.epoch);
    borrower?.lost(server, why);
    this.watch.serverClosed(server);
    this.#grow();
    this.#world.released(this);
  }

  /** There is a primary again, or a budget. */
  wake(): void {
    this.#grow();
  }

  /** Connections of older epochs are cut. */
  cut(): void {
    for (const server of [...this.servers])
      if (!this.#world.isCurrent(server.epoch)) server.close('its server is not the primary any more');
  }

  /** Connections that are free are closed. */
  closeIdle(): void {
    for (const server of this.#idle.all()) server.close('another connection to its server was lost');
  }

  /** What new sessions get has changed: connections are closed as soon as they are free. */
  retire(): void {
    this.greetings.clear();
    for (const server of [...this.servers]) {
      server.retired = true;
      if (this.#idle.has(server)) server.close('it was retired');
    }
  }

  /** Closes the connection that has been free the longest. */
  giveUpOne(): boolean {
    const server = this.#idle.oldest;
    server?.close('it made room for another pool');
    return server !== undefined;
  }

  sweep(now: number): void {
    const { waitMs, waitNoticeMs, holdMs, serverIdleMs } = this.#world.config.timeouts;
    const patience = this.#world.canStart ? waitMs : holdMs;
    let place = 0;
    for (const session of this.waiting) {
      place += 1;
      const waitedMs = now - session.waitingSince;
      if (patience > 0 && waitedMs > patience) {
        this.waiting.delete(session);
        session.refused(this.#whyInVain(place));
      } else if (waitNoticeMs > 0 && waitedMs > waitNoticeMs && !session.noticed) {
        session.noticed = true;
        this.#world.notice(session, place, this.waiting.size);
      }
    }
    if (patience > 0) this.#guests.refuseOlderThan(now - patience, () => this.#whyInVain(1));
    if (this.watch.isDue(now) && this.#world.canStart) {
      const server = this.#idle.takeLast();
      if (server !== undefined) this.#learnAgain(server);
    }
    const oldest = this.#idle.oldest;
    if (oldest !== undefined && serverIdleMs > 0 && now - oldest.idleSince > serverIdleMs) oldest.close('it was not used');
  }

  #whyInVain(place: number): Refusal {
    if (!this.#world.canStart) return refusal('noPrimary');
    return (
      this.#lastRefusal ??
      refusal(
        'waited',
        `It was number ${place} of ${this.waiting.size + 1} in line; ${this.servers.size} server connections are open.`,
      )
    );
  }

  /** What is true of the role by now; null: it is gone, and its connections go when they are free. */
  update(facts: RoleFacts | null): void {
    if (facts?.digest !== this.facts.digest) this.retire();
    if (facts !== null) this.facts = facts;
  }

  setCredential(credential: Credential | null): void {
    if (credential === null) return;
    // Those that were opened with a password that is no longer good are not given out any more.
    if (this.credential !== null && !sameCredential(this.credential, credential)) this.retire();
    this.credential = credential;
  }

  close(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    for (const server of [...this.servers]) server.close('the proxy ends');
  }
}
