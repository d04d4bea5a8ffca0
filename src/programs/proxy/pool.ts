import { EMPTY_STATE, type SessionStates } from '#core/pool/session-state.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';
import { isOfVerifier, sameCredential } from './client-login.ts';
import type { ClientSession } from './client-session.ts';
import type { Credential } from './connect-server.ts';
import { Convoys } from './convoys.ts';
import type { DatabaseWatch } from './database-watch.ts';
import { Guests } from './guests.ts';
import { IdleServers } from './idle-servers.ts';
import { judgeFailure } from './judge-failure.ts';
import { openServer } from './open-server.ts';
import type { ProxyWorld } from './proxy-world.ts';
import { type Refusal, refusal } from './refusals.ts';
import type { Reported } from './reported.ts';
import { type ServerConnection, toServers } from './server-connection.ts';
import { type SessionHome, type SessionStats, sessionStats } from './session-home.ts';
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
  readonly convoys: Convoys;
  credential: Credential | null = null;
  facts: RoleFacts;
  /** When `facts` were asked for last. */
  factsAt = performance.now();
  connecting = 0;
  readonly #world: ProxyWorld;
  readonly #idle = new IdleServers();
  #retry: NodeJS.Timeout | null = null;
  #lastRefusal: Refusal | null = null;
  /** The primary that was named last took no connection. */
  #isUnreachable = false;
  readonly #guests = new Guests();

  constructor(world: ProxyWorld, facts: RoleFacts, database: string, watch: DatabaseWatch) {
    this.#world = world;
    this.role = facts.role;
    this.database = database;
    this.facts = facts;
    this.watch = watch;
    this.convoys = new Convoys(this, world, this.#idle);
    this.stats = { ...sessionStats(world.latency), connects: 0, failedConnects: 0 };
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

  isHolding(): boolean {
    return this.#world.isHolding;
  }

  /** What a server reports to sessions with these startup parameters, from a connection that is opened for it where there was none. */
  greeting(signature: string, parameters: ReadonlyMap<string, string>): Promise<Reported> {
    const greeted = this.#guests.arrive(signature, parameters);
    this.#grow();
    return greeted;
  }

  checkout(session: ClientSession): ServerConnection | null {
    if (this.waiting.size === 0 && this.canStart) {
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
    if (this.waiting.delete(session)) this.#grow();
  }

  ended(session: ClientSession): void {
    this.sessions.delete(session);
    this.convoys.left(session);
    this.#world.ended(session);
  }

  release(server: ServerConnection): void {
    if (server.closed) return;
    if (server.cancels > 0) {
      server.onCancelled = () => this.release(server);
      return;
    }
    const isOld = performance.now() - server.openedAt > this.#world.config.timeouts.serverLifetimeMs;
    if (server.retired || isOld || !this.#world.isCurrent(server.epoch)) return server.close('it was retired');
    if (this.watch.isStale && this.watch.isDue(performance.now())) return this.#learnAgain(server);
    const starving = this.#world.starving(this);
    if (starving !== undefined) {
      server.close('a pool without connections needed its place');
      return starving.wake();
    }
    if (this.#guestsTurn !== null && this.servers.size + this.connecting >= this.#limit)
      return server.close('it made room for a session with other startup parameters');
    server.idleSince = performance.now();
    const next = this.canStart ? this.#nextFor(server) : null;
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

  #nextFor(server: ServerConnection): ClientSession | null {
    const first = this.waiting.values().next().value;
    return first !== undefined && first.signature === server.signature ? first : null;
  }

  /** Its client has left in the midst of something: what runs is cancelled, what was open is rolled back, and it is of use again. */
  abandon(server: ServerConnection): void {
    void this.#world.cancel(server);
    server.close('its client left in the midst of a statement');
  }

  /** Serves the first in line as far as connections are free, may be opened, or can be taken from elsewhere. */
  #grow(): void {
    if (!this.#world.canStart) return;
    while (this.canStart) {
      const first = this.waiting.values().next().value;
      const server = first === undefined ? null : this.#idle.take(first);
      if (first === undefined || server === null) break;
      this.waiting.delete(first);
      this.#world.waited(first);
      first.granted(server);
    }
    const first = this.#guestsTurn ?? this.waiting.values().next().value ?? this.#guests.first;
    if (first === undefined || this.connecting >= this.waiting.size + this.#guests.size || this.#retry !== null) return;
    if (this.servers.size + this.connecting >= this.#limit) {
      // All are of another startup: the one that is free the longest makes room.
      this.#idle.oldest?.close('it made room for a session with other startup parameters');
      if (this.servers.size + this.connecting >= this.#limit) return;
    }
    if (!this.#world.mayOpen(this)) return;
    void this.#open(first.signature);
  }

  /** Whoever notifies now is heard by those who listen here. */
  get canStart(): boolean {
    return this.#world.canStart && this.watch.notifications.isReady;
  }

  /** Who came first: a login takes a connection of its own kind, and a pool that is always busy would never have one for it. */
  get #guestsTurn(): { readonly signature: string } | null {
    const guest = this.#guests.first;
    const waiter = this.waiting.values().next().value;
    return guest === undefined || waiter === undefined || waiter.waitingSince < guest.since ? null : guest;
  }

  get #limit(): number {
    const { serversPerPool } = this.#world.config.limits;
    const { connectionLimit, superuser } = this.facts;
    return connectionLimit < 0 || superuser ? serversPerPool : Math.min(serversPerPool, connectionLimit);
  }

  async #open(signature: string): Promise<void> {
    if (this.#world.view.primary === null || this.credential === null) return;
    this.connecting += 1;
    this.#world.servers += 1;
    try {
      const parameters = this.#guests.parametersOf(signature);
      const server = await this.#connect(signature, parameters, (closed, why) => this.#closed(closed, why));
      this.servers.add(server);
      this.#guests.greet(signature, server.reported);
      this.#welcome(server);
    } catch (error) {
      this.#world.servers -= 1;
      this.stats.failedConnects += 1;
      this.#failed(error as Error, signature);
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
    const { role, database, credential } = this;
    if (credential === null) throw new Error(`nobody has logged in as ${role}`);
    const server = await openServer(this.#world, { role, database, credential, signature, parameters, onClosed });
    this.stats.connects += 1;
    this.#lastRefusal = null;
    this.#isUnreachable = false;
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

  #failed(error: Error, signature: string): void {
    const { why, isAway, isFinal } = judgeFailure(error, this.#world.isLeftAlone);
    this.#lastRefusal = why;
    this.#world.log.warn({ role: this.role, database: this.database, code: why.code }, `no server connection: ${error.message}`);
    // Full: one of those that are open comes free.
    if (isFinal && !(why.code === '53300' && this.servers.size > 0)) return this.#refuseWaiting(why, signature);
    this.#isUnreachable ||= isAway;
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#grow();
    }, RETRY_CONNECT_MS);
    this.#retry.unref();
  }

  /** Those with the startup parameters that were refused: others may be welcome. */
  #refuseWaiting(why: Refusal, signature: string): void {
    for (const session of [...this.waiting]) {
      if (session.signature !== signature) continue;
      this.waiting.delete(session);
      session.refused(why);
    }
    this.#guests.refuse(signature, why);
  }

  #closed(server: ServerConnection, why: string): void {
    this.servers.delete(server);
    this.#world.servers -= 1;
    this.#world.bytesToClients += server.bytesIn;
    this.#idle.remove(server);
    const { borrower } = server;
    // Those beside it are probably gone as well, and a statement that is sent again should not find that out.
    if (borrower !== null) this.#world.doubt(server.epoch);
    borrower?.lost(server, why);
    this.watch.serverClosed(server);
    this.#grow();
    this.#world.released(this);
  }

  get wantsMore(): boolean {
    return this.waiting.size + this.#guests.size > 0;
  }

  /** There is a primary again, or a budget. */
  wake(): void {
    clearTimeout(this.#retry ?? undefined);
    this.#retry = null;
    for (let before = -1; this.connecting > before; this.#grow()) before = this.connecting;
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
    this.#guests.forget();
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
    const patience = this.#isHeld ? holdMs : waitMs;
    let place = 0;
    for (const session of this.waiting) {
      place += 1;
      const waitedMs = now - session.waitingSince;
      if (patience > 0 && waitedMs > patience) {
        this.waiting.delete(session);
        session.refused(this.#whyInVain(place));
      } else if (waitNoticeMs > 0 && waitedMs > waitNoticeMs && !session.noticed) {
        session.noticed = true;
        this.#world.notice(session, place, this.waiting.size, this.#hasPrimary);
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

  /** One that is only named, since nobody is left to say otherwise, is none. */
  get #hasPrimary(): boolean {
    return this.#world.canStart && !(this.#isUnreachable && this.servers.size === 0);
  }

  /** It is the wait for a primary that counts, unless the other one is over before. */
  get #isHeld(): boolean {
    const { waitMs, holdMs } = this.#world.config.timeouts;
    return !this.#hasPrimary && (!this.#world.canStart || waitMs === 0 || waitMs > holdMs);
  }

  #whyInVain(place: number): Refusal {
    if (this.#isHeld) return refusal('noPrimary', this.#lastRefusal?.detail ?? this.#lastRefusal?.message);
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
    if (facts === null) return;
    this.facts = facts;
    // A password that is no longer the role's opens nothing more; what it has opened goes on, as PostgreSQL has it.
    if (this.credential !== null && facts.byCertificate && !isOfVerifier(this.credential, facts.verifier))
      this.credential = { kind: 'certificate' };
  }

  setCredential(credential: Credential | null): void {
    if (credential === null) return;
    // Those that were opened with a password that is no longer good are not given out any more.
    if (this.credential !== null && !sameCredential(this.credential, credential)) this.retire();
    this.credential = credential;
  }

  close(): void {
    clearTimeout(this.#retry ?? undefined);
    for (const server of [...this.servers]) server.close('the proxy ends');
  }
}
