import type { Socket } from 'node:net';
import { handOver } from '#core/pool/hand-over.ts';
import { PIN, type PinReason, pinReasons } from '#core/pool/pins.ts';
import { probeFor } from '#core/pool/probe.ts';
import type { SessionState, SessionStates } from '#core/pool/session-state.ts';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { EFFECT } from '#sql/effects.ts';
import type { Hazards } from '#sql/hazards.ts';
import type { StatementFacts } from '#sql/statement-facts.ts';
import { readDataRow } from '#wire/decode-backend.ts';
import { errorResponse, readyForQuery } from '#wire/encode-backend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { ClientMessages } from './client-messages.ts';
import { GROUP, Group } from './group.ts';
import { InFlight } from './in-flight.ts';
import { Preparing } from './preparing.ts';
import { type Refusal, refusal } from './refusals.ts';
import type { Reported } from './reported.ts';
import { type Borrower, type ServerConnection, toClients, toServers } from './server-connection.ts';
import { SessionTraces } from './session-traces.ts';
import type { Statements } from './statements.ts';
import { TRANSACTION } from './transaction-status.ts';

/** What a session needs of the world. */
export interface SessionHome {
  readonly states: SessionStates;
  readonly statements: Statements;
  readonly preparedPerServer: number;
  hazards(): Hazards;
  /** `hazards` may be behind what is defined. */
  readonly isStale: boolean;
  /** A connection at once, or null: `granted` or `refused` follows. */
  checkout(session: ClientSession): ServerConnection | null;
  release(server: ServerConnection): void;
  /** Its client has left in the midst of something. */
  abandon(server: ServerConnection): void;
  /** It will not be granted one. */
  withdraw(session: ClientSession): void;
  /** Nothing new may start: a switchover is on its way. */
  isHolding(): boolean;
  /** The texts of a transaction may have changed the catalog. */
  catalogChanged(): void;
  /** Settles what LISTEN and UNLISTEN have done; `done` when the server connection is no longer needed for it. */
  listen(
    session: ClientSession,
    server: ServerConnection,
    channels: readonly string[],
    done: (error: string | null) => void,
  ): void;
  unlisten(session: ClientSession, channels: ReadonlySet<string> | 'all'): void;
  /** Sequences of this database and role are asked what was drawn last. */
  readonly asksCurrval: { value: boolean };
  ended(session: ClientSession): void;
  readonly stats: SessionStats;
}

export interface SessionStats {
  transactions: number;
  statements: number;
  /** Statements that ran on a pinned connection, by reason. */
  readonly pinned: Map<PinReason, number>;
  probes: number;
  handOvers: number;
  lostTransactions: number;
  retriedReads: number;
  unknownOutcomes: number;
  preparedHits: number;
  preparedMisses: number;
}

/** Statements up to this size are kept while they are in flight, to be sent again when their server is lost. */
const KEPT_BYTES = 16 * 1024;
/** What a client may send ahead while it waits. */
const AHEAD_BYTES = 64 * 1024;
const LOST_SAVEPOINT = 'matriarch_lost';

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
  /** The transaction was lost with its server, and the client has yet to hear of it. */
  #owed: Refusal | null = null;
  /** The transaction was lost, the client knows, and has not ended it yet. */
  #lost = false;
  /** A hand-over that may fail is not yet answered. */
  #handingOver = false;
  #probing = false;
  #freed: (() => void)[] = [];

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
    this.socket.on('close', () => this.gone());
    this.socket.on('error', () => this.gone());
    this.socket.on('end', () => this.gone());
  }

  get isInTransaction(): boolean {
    return this.#lost || this.#owed !== null || (this.server !== null && this.server.status !== TRANSACTION.idle);
  }

  /** Nothing of it is on a server, on the way there, or half sent. */
  get isIdle(): boolean {
    return this.server === null && this.waitingSince === 0 && !this.#lost && this.#owed === null && this.messages.isEmpty;
  }

  /** The status byte that a ReadyForQuery of the proxy's own has to carry. */
  get status(): 'I' | 'T' | 'E' {
    if (this.#lost) return 'E';
    if (this.server === null || this.server.status === TRANSACTION.idle) return 'I';
    return this.server.status === TRANSACTION.open ? 'T' : 'E';
  }

  // --- from the client -------------------------------------------------------------------------------------------------------

  /** A message that needs a server. False: it has to wait, and everything behind it. */
  ready(type: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.#handingOver) return false;
    if (this.server !== null) return !(this.pins !== 0 && this.#startsAnew() && this.home.isHolding()) || this.#wait();
    if (this.#owed !== null && !this.#settle(this.#owed, type, bytes, from, to)) return true;
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

  /**
   * The client hears of the transaction that was lost. True: the message is to go on: a ROLLBACK needs no error. A message that is
   * answered by the error is not passed on.
   */
  #settle(owed: Refusal, type: number, bytes: Buffer, from: number, to: number): boolean {
    if (type === FRONTEND.query && ROLLBACK.test(bytes.toString('latin1', from + 5, Math.min(to, from + 64)))) {
      this.#owed = null;
      return true;
    }
    this.#owed = null;
    const ends = type === FRONTEND.query && COMMIT.test(bytes.toString('latin1', from + 5, Math.min(to, from + 64)));
    this.#lost = !ends;
    this.tell(owed, type);
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
    if (this.home.isStale) this.traces.effects |= EFFECT.code;
    if ((effects & (EFFECT.sequences | EFFECT.currval)) !== 0) this.#drawsNumbers(effects);
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
    const asks = (effects & EFFECT.currval) !== 0;
    if (asks) home.asksCurrval.value = true;
    if (server.numbersOf === this) return;
    if (home.asksCurrval.value && server.numbersOf !== null && this.open === null)
      server.ask('DISCARD SEQUENCES', { onDone: () => {} });
    server.numbersOf = server.numbersOf === null || home.asksCurrval.value ? this : SEVERAL;
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
    this.server = server;
    server.borrower = this;
    server.lastBorrower = this;
    server.prepared.nameBy(this.preparing.clientName);
    this.traces.clear();
    if (server.session !== this.state) this.#handOver(server);
    else if (server.reported !== this.reported) this.#report(server);
    if (this.#lost) this.#loseAgain(server);
  }

  #report(server: ServerConnection): void {
    toClients.open(this.socket);
    for (const message of server.reported.since(this.reported)) toClients.add(message);
    if (!server.isBusy) toClients.flush();
    this.reported = server.reported;
  }

  #handOver(server: ServerConnection): void {
    const { settings, certain, statements } = handOver(server.session, this.state);
    this.home.stats.handOvers += 1;
    server.session = this.state;
    if (settings !== '') {
      this.#handingOver ||= !certain;
      server.ask(settings, { onDone: (error) => this.#handedOver(server, error) });
    }
    for (const text of statements) server.ask(text, { onDone: () => {} });
    if (!certain) toServers.flush();
  }

  #handedOver(server: ServerConnection, error: Buffer | null): void {
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
    if (server.reported !== this.reported) this.#report(server);
    if (waited) this.messages.resume();
  }

  /** The session is where PostgreSQL would have it: inside a transaction that has failed. */
  #loseAgain(server: ServerConnection): void {
    server.ask('BEGIN', { onDone: () => {} });
    server.ask(`ROLLBACK TO SAVEPOINT ${LOST_SAVEPOINT}`, { onDone: () => {} });
    this.#lost = false;
  }

  // --- from the server --------------------------------------------------------------------------------------------------------

  onReady(group: Group): void {
    this.copyIn = false;
    const server = this.server;
    if (server === null || server.isBusy || this.open !== null) return;
    this.activeAt = performance.now();
    if (server.status !== TRANSACTION.idle) {
      this.inFlight.clear();
      return;
    }
    this.onQuiet();
    this.home.stats.transactions += 1;
    this.#transactionEnded(server, group);
  }

  #transactionEnded(server: ServerConnection, group: Group): void {
    const { traces } = this;
    this.inFlight.clear();
    if (traces.effects !== 0) {
      if (traces.unlisten !== null && group.failed === null && !traces.rolledBack) this.home.unlisten(this, traces.unlisten);
      if ((traces.effects & EFFECT.catalog) !== 0) this.home.catalogChanged();
      if ((traces.effects & EFFECT.backend) !== 0) this.pins |= PIN.backend;
      if ((traces.effects & (EFFECT.sequences | EFFECT.currval)) !== 0 && this.home.asksCurrval.value) this.pins |= PIN.sequences;
      if ((traces.effects & EFFECT.discard) !== 0) this.pins &= ~PIN.sequences;
      if (traces.isProbeDue(this.pins)) return this.#probe(server);
      traces.clear();
    }
    if (this.pins === 0) this.#release(server);
  }

  #release(server: ServerConnection): void {
    this.server = null;
    server.borrower = null;
    this.home.release(server);
  }

  #probe(server: ServerConnection): void {
    const traces = this.traces.take();
    const probe = probeFor(traces, this.pins, this.login, this.home.hazards().settings);
    this.home.stats.probes += 1;
    this.#probing = true;
    let row: readonly (string | null)[] | undefined;
    server.ask(`SET LOCAL statement_timeout = 0; ${probe.sql}`, {
      onRow: (message) => {
        row = readDataRow(message);
      },
      onDone: (error) => {
        this.#probing = false;
        if (this.server !== server) return;
        const found =
          error === null && row !== undefined ? probe.read(row, this.#baseOf(traces), this.pins, this.home.states) : undefined;
        if (found === undefined) this.pins |= PIN.unreadable;
        else this.#learn(server, found.state, found.pins, found.channels);
        this.#releaseIfFree();
      },
    });
  }

  /** DISCARD ALL and RESET ALL return to what the startup gave; what they left is read from there. */
  #baseOf(traces: SessionTraces): SessionState {
    return (traces.effects & EFFECT.discard) !== 0 ? this.initial : this.state;
  }

  #learn(server: ServerConnection, state: SessionState, pins: number, channels: readonly string[]): void {
    // A connection is opened without the client's own application_name: that is set on it, and RESET takes it away.
    const name = this.initial.settings.get('application_name');
    const restored =
      name === undefined || state.settings.has('application_name')
        ? state
        : this.home.states.intern(new Map(state.settings).set('application_name', name), state.prepared);
    if (restored !== state) server.ask(handOver(state, restored).settings, { onDone: () => {} });
    server.session = restored;
    this.state = restored;
    // Its local buffers are sized for good by the first temporary table.
    if ((this.pins & PIN.temporary) !== 0 && (pins & PIN.temporary) === 0) server.retired = true;
    this.pins = pins;
    if (channels.length === 0) return;
    this.pins |= PIN.listening;
    this.home.listen(this, server, channels, (error) => {
      if (this.server !== server) return;
      if (error === null) this.pins &= ~PIN.listening;
      this.#releaseIfFree();
    });
  }

  #releaseIfFree(): void {
    const server = this.server;
    if (server === null || server.isBusy || this.open !== null || this.pins !== 0 || this.#probing) return;
    if (server.status === TRANSACTION.idle && this.traces.effects === 0) this.#release(server);
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

  onParameter(name: string, value: string): void {
    this.reported = this.reported.with(name, value);
  }

  onNotification(message: Buffer): void {
    this.notify?.(message);
  }

  /** Set while this connection itself listens, until the shared listener has taken over. */
  notify: ((message: Buffer) => void) | null = null;

  /** Its server is gone, with whatever was on it. */
  lost(server: ServerConnection, why: string): void {
    if (this.server !== server) return;
    this.server = null;
    server.borrower = null;
    this.#handingOver = false;
    this.#probing = false;
    this.notify = null;
    const inTransaction = server.status !== TRANSACTION.idle;
    const groups = server.expected.filter((group) => group.question === null);
    if (server.isMidMessage || (this.pins & ~PIN.listening) !== 0)
      return this.end(refusal(server.isMidMessage ? 'cutOff' : 'pinLost', why));
    this.pins = 0;
    this.preparing.forgetServer();
    const first = groups[0];
    if (first === undefined && !inTransaction) return this.#goOn();
    if (!inTransaction && this.inFlight.isWhole && groups.every((group) => canRepeat(group, this.open))) {
      this.home.stats.retriedReads += 1;
      this.open = null;
      return this.messages.repeat(this.inFlight.take());
    }
    this.#tellLoss(groups, inTransaction, why);
    this.#goOn();
  }

  #goOn(): void {
    this.traces.clear();
    if (this.waitingSince !== 0) this.proceed();
    this.waitingSince = 0;
    this.messages.resume();
  }

  /** Each group that was sent and not answered gets its error; one that is still being sent, when its Sync comes. */
  #tellLoss(groups: readonly Group[], wasInTransaction: boolean, why: string): void {
    let inside = wasInTransaction;
    if (inside && groups.length === 0) {
      this.#owed = refusal('transactionLost', why);
      this.home.stats.lostTransactions += 1;
      return;
    }
    toClients.open(this.socket);
    for (const group of groups) {
      group.undoUnconfirmed();
      const unknown = !inside || (group.flags & GROUP.ends) !== 0;
      const read = !inside && (group.flags & GROUP.reads) !== 0;
      if (inside) this.home.stats.lostTransactions += 1;
      if (unknown && !read) this.home.stats.unknownOutcomes += 1;
      if (group.failed === null) {
        const kind = read ? 'readLost' : unknown ? 'outcomeUnknown' : 'transactionLost';
        toClients.add(errorResponse({ severity: 'ERROR', ...refusal(kind, why) }));
      }
      inside = (inside || (group.flags & GROUP.begins) !== 0) && (group.flags & GROUP.ends) === 0;
      this.#lost = inside;
      if (group.synced) toClients.add(readyForQuery(this.status));
      else this.skipping = true;
    }
    this.open = null;
    this.copyIn = false;
    toClients.flush();
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

/** More than one session has drawn numbers from sequences on a connection. */
const SEVERAL = {};
/** Time for the last words to arrive. */
const LINGER_MS = 1000;
const ROLLBACK = /^\s*(rollback|abort)\s*(work|transaction)?\s*;?\s*\0?$/i;
const COMMIT = /^\s*(commit|end)\b/i;

function canRepeat(group: Group, open: Group | null): boolean {
  return (
    group !== open && !group.touched && (group.flags & GROUP.reads) !== 0 && (group.flags & (GROUP.ends | GROUP.begins)) === 0
  );
}
