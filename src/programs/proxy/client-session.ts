import type { Socket } from 'node:net';
import { handOver } from '#core/pool/hand-over.ts';
import { PIN, pinReasons } from '#core/pool/pins.ts';
import type { SessionState } from '#core/pool/session-state.ts';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { EFFECT } from '#sql/effects.ts';
import { quoteIdentifier } from '#sql/quote.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import { readNotification } from '#wire/decode-backend.ts';
import { errorResponse, readyForQuery } from '#wire/encode-backend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { ClientMessages } from './client-messages.ts';
import { GROUP, Group } from './group.ts';
import { InFlight } from './in-flight.ts';
import { MARKER } from './notifications.ts';
import { NAME_PREFIX } from './prepared-on-server.ts';
import { Preparing } from './preparing.ts';
import { type Refusal, refusal } from './refusals.ts';
import type { Reported } from './reported.ts';
import { type Borrower, type ServerConnection, toClients, toServers } from './server-connection.ts';
import type { SessionHome } from './session-home.ts';
import { SessionLoss } from './session-loss.ts';
import { probeSession } from './session-probe.ts';
import { SessionTraces } from './session-traces.ts';
import { TRANSACTION } from './transaction-status.ts';

/** Statements up to this size are kept while they are in flight, to be sent again when their server is lost. */
const KEPT_BYTES = 16 * 1024;
/** What a client may send ahead while it waits. */
const AHEAD_BYTES = 64 * 1024;

/** One client: its state lives here, and a server connection is borrowed for each transaction. */
export class ClientSession implements Borrower {
  readonly socket: Socket;
  readonly pid: number;
  readonly secret: Buffer;
  readonly login: string;
  readonly database: string;
  readonly home: SessionHome;
  /** As its startup made it: what RESET ALL and DISCARD ALL return to. */
  readonly initial: SessionState;
  readonly signature: string;
  readonly preparing: Preparing;
  state: SessionState;
  server: ServerConnection | null = null;
  pins = 0;
  reported: Reported;
  /** Since when it waits for a connection; 0: it does not. */
  waitingSince = 0;
  noticed = false;
  /** Since when it is inside a transaction and silent, or a statement of it runs; for the timeouts. */
  activeAt: number;
  /** Since when its present transaction runs. */
  takenAt = 0;
  closed = false;
  closing: Refusal | null = null;
  readonly traces = new SessionTraces();
  readonly messages: ClientMessages;
  /** The group whose Sync has not come yet. */
  open: Group | null = null;
  copyIn = false;
  readonly inFlight = new InFlight(KEPT_BYTES);
  /** Everything up to the next Sync is passed over, as PostgreSQL does behind an error. */
  skipping = false;
  readonly loss: SessionLoss;
  /** A hand-over that may fail is not yet answered. */
  #handingOver = false;
  probing = false;
  /** Channels that its own connection listens to. */
  listensHere: readonly string[] = [];
  isMoving = false;
  /** Everything behind it is delivered by the shared listener; with an empty name it has been met. */
  marker: { readonly channel: string; readonly met: () => void } | null = null;
  #freed: (() => void)[] = [];
  /** Notifications that came in the midst of a large row. */
  #later: Buffer[] = [];

  constructor(parts: {
    socket: Socket;
    pid: number;
    secret: Buffer;
    login: string;
    database: string;
    home: SessionHome;
    initial: SessionState;
    signature: string;
    reported: Reported;
    now: number;
  }) {
    this.socket = parts.socket;
    this.pid = parts.pid;
    this.secret = parts.secret;
    this.login = parts.login;
    this.database = parts.database;
    this.home = parts.home;
    this.initial = parts.initial;
    this.state = parts.initial;
    this.signature = parts.signature;
    this.reported = parts.reported;
    this.activeAt = parts.now;
    this.preparing = new Preparing(this);
    this.messages = new ClientMessages(this, AHEAD_BYTES);
    this.loss = new SessionLoss(this);
    this.socket.on('close', () => this.gone());
    this.socket.on('error', () => this.gone());
    this.socket.on('end', () => this.gone());
  }

  /** Nothing of it is on a server, on the way there, or half sent. */
  get isIdle(): boolean {
    return this.server === null && this.waitingSince === 0 && !this.loss.isOpen && this.messages.isEmpty;
  }

  /** The status byte that a ReadyForQuery of the proxy's own has to carry. */
  get status(): 'I' | 'T' | 'E' {
    if (this.loss.isTold) return 'E';
    if (this.server === null || this.server.status === TRANSACTION.idle) return 'I';
    return this.server.status === TRANSACTION.open ? 'T' : 'E';
  }

  // --- from the client -------------------------------------------------------------------------------------------------------

  /** A message that needs a server. False: it has to wait, and everything behind it. */
  ready(type: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.#handingOver) return false;
    if (this.server !== null) return !(this.pins !== 0 && this.#startsAnew() && this.home.isHolding()) || this.#wait();
    if (this.loss.settle(type, bytes, from, to)) return true;
    if (this.waitingSince !== 0) return false;
    const server = this.home.checkout(this);
    if (server === null) return this.#wait();
    this.#take(server);
    return !this.#handingOver;
  }

  get isHandingOver(): boolean {
    return this.#handingOver;
  }

  /** The group that the client's extended messages belong to at this moment. */
  group(server: ServerConnection): Group {
    if (this.open !== null) return this.open;
    const group = new Group(GROUP.reads, false, null);
    server.expected.push(group);
    this.open = group;
    return group;
  }

  #startsAnew(): boolean {
    const server = this.server as ServerConnection;
    return server.status === TRANSACTION.idle && !server.isBusy && this.open === null;
  }

  #wait(): false {
    if (this.waitingSince === 0) this.waitingSince = performance.now();
    return false;
  }

  /** Answers a message by an error: at once where it is a Query, else everything up to the Sync is passed over. */
  tell(why: Refusal, type: number): void {
    toClients.open(this.socket);
    toClients.add(errorResponse({ severity: 'ERROR', ...why }));
    if (type === FRONTEND.query || type === FRONTEND.functionCall) toClients.add(readyForQuery(this.status));
    else this.skipping = true;
    toClients.flush();
  }

  /** A ReadyForQuery of the proxy's own. */
  sayReady(): void {
    toClients.open(this.socket);
    toClients.add(readyForQuery(this.status));
    toClients.flush();
  }

  /** What a text that is about to run may do. Answers with the bits of its group. */
  note(facts: StatementFacts): number {
    this.#count();
    this.traces.add(facts);
    const { effects } = facts;
    if ((effects & (EFFECT.sequences | EFFECT.currval)) !== 0) this.#drawsNumbers(effects);
    else if ((effects & EFFECT.code) !== 0 && this.server !== null && this.server.numbersOf !== this)
      this.server.numbersOf = SEVERAL;
    if ((effects & EFFECT.listen) !== 0 && this.open === null) this.#listenHere();
    return (
      ((effects & EFFECT.writes) === 0 ? GROUP.reads : 0) |
      ((effects & EFFECT.ends) !== 0 ? GROUP.ends : 0) |
      ((effects & EFFECT.begins) !== 0 ? GROUP.begins : 0)
    );
  }

  /** Something runs whose text is not at hand. */
  noteUnknown(): number {
    this.#count();
    this.traces.effects |= EFFECT.code;
    return GROUP.ends;
  }

  #count(): void {
    this.home.stats.statements += 1;
    if (this.pins !== 0)
      for (const reason of pinReasons(this.pins))
        this.home.stats.pinned.set(reason, (this.home.stats.pinned.get(reason) ?? 0) + 1);
  }

  /** What currval() answers belongs to the session that drew: another one's is thrown away before it could be seen. */
  #drawsNumbers(effects: number): void {
    const { server, home } = this;
    if (server === null) return;
    if ((effects & EFFECT.currval) !== 0 && home.askingCurrval.size < MOST_ASKING) home.askingCurrval.add(this.#application);
    if (server.numbersOf === this) return;
    const asks = this.#asksCurrval;
    if (asks && server.numbersOf !== null && this.open === null) server.ask('DISCARD SEQUENCES', { onDone: () => {} });
    server.numbersOf = server.numbersOf === null || asks ? this : SEVERAL;
  }

  get #application(): string {
    return this.initial.settings.get('application_name') ?? '';
  }

  /** Its application has asked before: sessions of it keep the connection that they drew numbers on. */
  get #asksCurrval(): boolean {
    return this.home.askingCurrval.has(this.#application);
  }

  /** The server says what it listens to (pg_listening_channels): what the shared listener does for it has to be there. */
  #listenHere(): void {
    const channels = this.home.sharedChannels(this).filter((channel) => !channel.startsWith(MARKER));
    const sql = channels.map((channel) => `LISTEN ${quoteIdentifier(channel)}`).join('; ');
    if (channels.length > 0 && this.server?.status === TRANSACTION.idle) this.server.ask(sql, { onDone: () => {} });
  }

  // --- connections ------------------------------------------------------------------------------------------------------------

  /** The pool has one for it. */
  granted(server: ServerConnection): void {
    this.waitingSince = 0;
    this.noticed = false;
    this.#take(server);
    if (!this.#handingOver) this.messages.resume();
  }

  /** It waited in vain. */
  refused(why: Refusal): void {
    this.waitingSince = 0;
    this.noticed = false;
    this.messages.refuse(why);
  }

  /** The wait of a pinned session for the end of a switchover is over. */
  proceed(): void {
    if (this.server === null || this.waitingSince === 0) return;
    this.waitingSince = 0;
    this.messages.resume();
  }

  #take(server: ServerConnection): void {
    this.takenAt = this.activeAt;
    this.server = server;
    server.borrower = this;
    server.lastBorrower = this;
    server.prepared.nameBy(this.preparing.clientName);
    this.traces.clear();
    if (server.session !== this.state) this.#handOver(server);
    else this.report(server);
    this.loss.carryOver(server);
  }

  /** The client hears what is reported otherwise on this connection than on its last one. */
  report(server: ServerConnection): void {
    if (server.reported === this.reported) return;
    toClients.open(this.socket);
    for (const message of server.reported.since(this.reported)) toClients.add(message);
    if (!server.isBusy) toClients.flush();
    this.reported = server.reported;
  }

  #handOver(server: ServerConnection): void {
    const { settings, certain, statements } = handOver(server.session, this.state);
    server.session = this.state;
    if (settings !== '') {
      this.#handingOver ||= !certain;
      const askedAt = performance.now();
      const onDone = (error: Buffer | null) => this.#handedOver(server, error, askedAt);
      server.ask(settings, { onDone });
    }
    for (const text of statements) server.ask(text, { onDone: () => {} });
    if (!certain) toServers.flush();
  }

  #handedOver(server: ServerConnection, error: Buffer | null, askedAt: number): void {
    this.home.stats.handOvers += 1;
    this.home.stats.latency.handOver.observe((performance.now() - askedAt) * 1000);
    const waited = this.#handingOver;
    this.#handingOver = false;
    if (error !== null) {
      this.server = null;
      server.borrower = null;
      server.close('the settings of a session could not be restored on it');
      this.messages.refuse(refusal('stateLost', error));
      return;
    }
    if (this.server !== server) return;
    this.report(server);
    if (waited) this.messages.resume();
  }

  // --- from the server --------------------------------------------------------------------------------------------------------

  onReady(group: Group): void {
    this.copyIn = false;
    const server = this.server;
    if (server === null || server.isBusy || this.open !== null) {
      // Sent again, it would be answered twice.
      this.inFlight.drop(group.endsAt);
      return;
    }
    const now = performance.now();
    this.home.stats.latency.query.observe((now - this.activeAt) * 1000);
    this.activeAt = now;
    if (this.#later.length > 0) for (const message of this.#later.splice(0)) this.deliver(message);
    this.loss.answered();
    if (server.status !== TRANSACTION.idle) {
      this.inFlight.clear();
      return;
    }
    this.onQuiet();
    this.home.stats.transactions += 1;
    this.home.stats.latency.transaction.observe((now - this.takenAt) * 1000);
    this.takenAt = now;
    this.#transactionEnded(server, group);
  }

  #transactionEnded(server: ServerConnection, group: Group): void {
    const { traces } = this;
    this.inFlight.clear();
    if (traces.effects !== 0) {
      if (traces.unlisten !== null && group.failed === null && !traces.rolledBack) this.home.unlisten(this, traces.unlisten);
      if ((traces.effects & EFFECT.catalog) !== 0) this.home.catalogChanged();
      if ((traces.effects & EFFECT.backend) !== 0) this.pins |= PIN.backend;
      if ((traces.effects & (EFFECT.sequences | EFFECT.currval)) !== 0 && this.#asksCurrval) this.pins |= PIN.sequences;
      if ((traces.effects & EFFECT.discard) !== 0) this.pins &= ~PIN.sequences;
      if (traces.isProbeDue(this.pins)) return probeSession(this, server);
      traces.clear();
    }
    if (this.pins === 0) this.#release(server);
    else if (this.pins === PIN.listening) this.#move(server);
  }

  #release(server: ServerConnection): void {
    this.server = null;
    server.borrower = null;
    this.home.release(server);
  }

  /** Gives the connection back when nothing ties the session to it. */
  releaseIfFree(): void {
    const server = this.server;
    if (server === null || !this.#isQuiet || this.probing || this.traces.effects !== 0) return;
    if (this.pins === 0) this.#release(server);
    else if (this.pins === PIN.listening) this.#move(server);
  }

  /** Resolves when nothing of the client's is under way on its connection, so that the proxy may ask something there. */
  whenFree(): Promise<void> {
    if (this.#isQuiet) return Promise.resolve();
    return new Promise((resolve) => this.#freed.push(resolve));
  }

  onQuiet(): void {
    if (this.#freed.length > 0 && this.#isQuiet) for (const resolve of this.#freed.splice(0)) resolve();
  }

  get #isQuiet(): boolean {
    const { server } = this;
    return server === null || (!server.isBusy && this.open === null && server.status === TRANSACTION.idle);
  }

  /** A cancel may go to the server: not while a commit waits, which would make it look done when it is not. */
  get mayCancel(): boolean {
    const group = this.server?.expected[0];
    if (group === undefined || group.question !== null) return false;
    const commits = (group.flags & GROUP.ends) !== 0;
    return !commits && !(this.hidesWarnings && (group.flags & GROUP.reads) === 0);
  }

  /** The warning that a commit is not on its standby would not be sent. */
  get hidesWarnings(): boolean {
    const level = this.state.settings.get('client_min_messages') ?? '';
    return level === 'error' || (this.traces.effects & EFFECT.messages) !== 0;
  }

  /** A statement that waits for a connection is given up. */
  cancelWait(): void {
    if (this.waitingSince === 0 || this.server !== null) return;
    this.home.withdraw(this);
    this.refused(refusal('cancelled'));
  }

  onCopyIn(active: boolean): void {
    this.copyIn = active;
  }

  onDeallocated(): void {
    this.preparing.clear();
  }

  onError(code: string, fields: ReadonlyMap<string, string> | undefined): void {
    const { errors } = this.home.stats;
    const group = code.slice(0, 2);
    errors.set(group, (errors.get(group) ?? 0) + 1);
    // What a prepared statement gives has changed: from now on the text is another statement.
    if (code === '0A000' && fields?.get('R') === 'RevalidateCachedQuery') this.preparing.outlived();
    // Somebody's code has deallocated what was prepared for everybody.
    if (code === '26000' && this.server !== null && fields?.get('M')?.includes(NAME_PREFIX) === true) this.server.retired = true;
  }

  /** Of the connection that it has itself; what the shared listener delivers already is not told twice. */
  onNotification(message: Buffer): void {
    const channel = readNotification(message)?.channel ?? '';
    if (channel === this.marker?.channel) {
      this.marker.met();
      this.marker = { channel: '', met: () => {} };
    } else if (!channel.startsWith(MARKER) && this.marker?.channel !== '' && !this.home.isShared(this, channel)) {
      this.deliver(message);
    }
  }

  deliver(message: Buffer): void {
    if (this.closed) return;
    if (this.server?.isMidMessage === true) {
      if (this.#later.length < MOST_LATER) this.#later.push(message);
      return;
    }
    toClients.open(this.socket);
    toClients.add(message);
    toClients.flush();
  }

  /** What it listens to is moved to the shared listener as soon as nothing else ties it to its connection. */
  #move(server: ServerConnection): void {
    if (this.isMoving) return;
    this.isMoving = true;
    this.home.listen(this, server, (error) => {
      this.isMoving = false;
      this.marker = null;
      if (this.server !== server) return;
      if (error !== null) return void setTimeout(() => this.releaseIfFree(), MOVE_AGAIN_MS).unref();
      if (this.listensHere.length === 0) this.pins &= ~PIN.listening;
      this.releaseIfFree();
    });
  }

  /** Its server is gone, with whatever was on it. */
  lost(server: ServerConnection, why: string): void {
    if (this.server !== server) return;
    this.server = null;
    server.borrower = null;
    this.#handingOver = false;
    this.probing = false;
    this.marker = null;
    this.listensHere = [];
    const isPinned = (this.pins & ~PIN.listening) !== 0;
    if (server.isMidMessage || isPinned) return this.end(refusal(server.isMidMessage ? 'cutOff' : 'pinLost', why));
    this.pins = 0;
    this.loss.of(server, why);
  }

  /** With another server, when there is something left to do. */
  goOn(): void {
    this.traces.clear();
    this.waitingSince = 0;
    this.messages.resume();
  }

  /** Query and idle-in-transaction timeouts; 0: none. */
  checkTimeouts(now: number, world: { readonly config: ProxyConfig; cancel(server: ServerConnection): void }): void {
    const { queryMs, idleInTransactionMs, clientIdleMs } = world.config.timeouts;
    const forMs = now - this.activeAt;
    const { server } = this;
    if (server === null) {
      if (clientIdleMs > 0 && this.isIdle && forMs > clientIdleMs) this.end(refusal('clientIdle'));
    } else if (server.isBusy) {
      if (queryMs > 0 && forMs > queryMs && this.mayCancel) world.cancel(server);
    } else if (server.status !== TRANSACTION.idle && idleInTransactionMs > 0 && forMs > idleInTransactionMs) {
      this.end(refusal('idleInTransaction'));
    }
  }

  /** Between transactions on a connection of its own. */
  get isIdlePinned(): boolean {
    return this.server !== null && this.#isQuiet && this.messages.isEmpty;
  }

  // --- the end ---------------------------------------------------------------------------------------------------------------

  /** Says why and closes. */
  end(why: Refusal): void {
    if (this.closed) return;
    toClients.open(this.socket);
    toClients.add(errorResponse({ severity: 'FATAL', ...why }));
    toClients.flush();
    this.socket.end();
    this.gone();
  }

  /** The client has left, or has been made to. */
  gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.home.withdraw(this);
    if (!this.socket.writableEnded) this.socket.destroy();
    else setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
    const server = this.server;
    this.server = null;
    for (const resolve of this.#freed.splice(0)) resolve();
    this.home.unlisten(this, 'all');
    if (server !== null) this.#giveBack(server);
    this.home.ended(this);
  }

  /** What it left on the connection goes with it; only a transaction that was waiting for its client is worth a ROLLBACK. */
  #giveBack(server: ServerConnection): void {
    server.borrower = null;
    const dirty = this.pins !== 0 || this.traces.isProbeDue(0) || server.isBusy || this.open !== null;
    if (dirty) {
      if (server.isBusy) this.home.abandon(server);
      else server.close('its session ended with state on it');
      return;
    }
    if (server.status === TRANSACTION.idle) return this.home.release(server);
    server.ask('ROLLBACK', { onDone: (error) => (error === null ? this.home.release(server) : server.close('ROLLBACK failed')) });
    toServers.flush();
  }
}

const MOST_ASKING = 1000;
const MOVE_AGAIN_MS = 1000;
const MOST_LATER = 1000;
/** More than one session has drawn numbers from sequences on a connection. */
const SEVERAL = {};
/** Time for the last words to arrive. */
const LINGER_MS = 1000;
