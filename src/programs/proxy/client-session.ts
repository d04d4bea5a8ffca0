import type { Socket } from 'node:net';
import { PIN } from '#core/pool/pins.ts';
import type { SessionState } from '#core/pool/session-state.ts';
import { EFFECT } from '#sql/effects.ts';
import { errorResponse, readyForQuery } from '#wire/encode-backend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { ClientMessages } from './client-messages.ts';
import { GROUP, Group } from './group.ts';
import { InFlight } from './in-flight.ts';
import { noteError } from './note-error.ts';
import { Preparing } from './preparing.ts';
import { type Refusal, refusal } from './refusals.ts';
import type { Reported } from './reported.ts';
import { type Borrower, type ServerConnection, toClients, toServers } from './server-connection.ts';
import { handOverTo, restoreNameOn } from './session-hand-over.ts';
import type { SessionHome } from './session-home.ts';
import { SessionListening } from './session-listening.ts';
import { losesState, SessionLoss } from './session-loss.ts';
import { asksCurrval } from './session-numbers.ts';
import type { SessionParts } from './session-parts.ts';
import { probeSession } from './session-probe.ts';
import { SessionReads } from './session-reads.ts';
import { commitsUnseen } from './session-timeouts.ts';
import { SessionTraces } from './session-traces.ts';
import { TRANSACTION } from './transaction-status.ts';

/** Statements up to this size are kept while they are in flight, to be sent again when their server is lost. */
const KEPT_BYTES = 16 * 1024;
/** What a client may send ahead while it waits. */
const AHEAD_BYTES = 64 * 1024;
/** Time for the last words to arrive. */
const LINGER_MS = 1000;

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
  readonly traces = new SessionTraces();
  readonly messages: ClientMessages;
  /** The group whose Sync has not come yet. */
  open: Group | null = null;
  readonly inFlight = new InFlight(KEPT_BYTES);
  /** Everything up to the next Sync is passed over, as PostgreSQL does behind an error. */
  skipping = false;
  readonly loss: SessionLoss;
  /** A hand-over that may fail is not yet answered. */
  handingOver = false;
  #late: Group | null = null;
  probing = false;
  /** What the transaction that is being read back may have done. */
  probed = 0;
  readonly listening: SessionListening;
  readonly reads: SessionReads;
  #freed: (() => void)[] = [];

  constructor(parts: SessionParts) {
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
    this.listening = new SessionListening(this);
    this.reads = new SessionReads(this);
    for (const event of ['close', 'error', 'end']) this.socket.on(event, () => this.gone());
  }

  /** Nothing of it is on a server, on the way there, or half sent. */
  get isIdle(): boolean {
    return this.needsNothing && this.messages.isEmpty;
  }

  /** It has no connection, waits for none, nothing of it is under way, and no transaction of it is lost. */
  get needsNothing(): boolean {
    return this.server === null && this.waitingSince === 0 && this.reads.convoy === null && !this.loss.isOpen;
  }

  /** The status byte that a ReadyForQuery of the proxy's own has to carry. */
  get status(): 'I' | 'T' | 'E' {
    if (this.loss.isTold) return 'E';
    if (this.server === null || this.server.status === TRANSACTION.idle) return 'I';
    return this.server.status === TRANSACTION.open ? 'T' : 'E';
  }

  /** A message that needs a server. False: it has to wait, and everything behind it. */
  ready(type: number, bytes: Buffer, from: number, to: number): boolean {
    if (this.handingOver) return false;
    if (this.server !== null) return !(this.pins !== 0 && this.#startsAnew() && this.home.isHolding()) || this.#wait();
    if (this.loss.settle(type, bytes, from, to)) return true;
    if (this.waitingSince !== 0) return false;
    const server = this.reads.takeOffered() ?? this.home.checkout(this);
    // It may have been served in line just now.
    if (this.server !== null) return !this.handingOver;
    if (server === null) return this.#wait();
    this.take(server);
    return !this.handingOver;
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

  /** The pool has one for it. */
  granted(server: ServerConnection): void {
    this.waitingSince = 0;
    this.noticed = false;
    if (this.reads.convoy !== null) return this.reads.granted(server);
    if (this.reads.offer(server)) return;
    this.take(server);
    if (!this.handingOver) this.messages.resume();
  }

  /** It waited in vain. */
  refused(why: Refusal): void {
    this.waitingSince = 0;
    this.noticed = false;
    if (this.reads.convoy === null) this.messages.refuse(why);
  }

  /** The wait of a pinned session for the end of a switchover is over. */
  proceed(): void {
    if (this.server === null || this.waitingSince === 0) return;
    this.waitingSince = 0;
    this.messages.resume();
  }

  take(server: ServerConnection): void {
    this.takenAt = this.activeAt;
    this.server = server;
    server.borrower = this;
    server.lastBorrower = this;
    server.prepared.nameBy(this.preparing.clientName);
    this.traces.clear();
    if (server.session !== this.state || (server.strange !== null && server.strange !== this)) handOverTo(this, server);
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

  onReady(group: Group): void {
    // COPY has failed while a row of it was still being passed on.
    if (this.messages.isStreaming) this.#late = group;
    else this.#answered(group);
    this.messages.resume();
  }

  /** The last byte of a large message is on its way. */
  streamed(): void {
    const group = this.#late;
    this.#late = null;
    if (group !== null) this.#answered(group);
  }

  #answered(group: Group): void {
    const server = this.server;
    if (server === null || server.isBusy || this.open !== null) {
      // Sent again, it would be answered twice.
      this.inFlight.drop(group.endsAt);
      return;
    }
    const now = performance.now();
    this.home.stats.latency.query.observe((now - this.activeAt) * 1000);
    this.activeAt = now;
    this.listening.deliverLate();
    this.loss.answered();
    if (server.status !== TRANSACTION.idle) {
      this.inFlight.clear();
      if (this.traces.resetsName) restoreNameOn(this, server);
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
    if (traces.effects !== 0 || (this.pins & PIN.unreadable) !== 0) {
      if (traces.unlisten !== null) this.home.watch.notifications.unsubscribe(this, traces.unlisten);
      if ((traces.effects & EFFECT.catalog) !== 0) this.home.watch.changed();
      if ((traces.effects & EFFECT.backend) !== 0) this.pins |= PIN.backend;
      if ((traces.effects & (EFFECT.sequences | EFFECT.currval)) !== 0 && asksCurrval(this)) this.pins |= PIN.sequences;
      if ((traces.effects & EFFECT.discard) !== 0) this.pins &= ~PIN.sequences;
      if (group.failed === null && traces.resetsAll) this.pins &= ~PIN.unnamed;
      if (traces.isProbeDue(this.pins)) return probeSession(this, server);
      traces.clear();
    }
    if (this.pins === 0) this.#release(server);
    else if (this.pins === PIN.listening) this.listening.move(server);
  }

  /** They have nothing to do with each other any more. */
  leave(server: ServerConnection): void {
    this.server = null;
    server.borrower = null;
  }

  #release(server: ServerConnection): void {
    this.leave(server);
    this.home.release(server);
  }

  /** Gives the connection back when nothing ties the session to it. */
  releaseIfFree(): void {
    const server = this.server;
    if (server === null || !this.isQuiet || this.probing || this.traces.effects !== 0) return;
    if (this.pins === 0) this.#release(server);
    else if (this.pins === PIN.listening) this.listening.move(server);
  }

  /** Resolves when nothing of the client's is under way on its connection, so that the proxy may ask something there. */
  whenFree(): Promise<void> {
    if (this.isQuiet) return Promise.resolve();
    return new Promise((resolve) => this.#freed.push(resolve));
  }

  onQuiet(): void {
    if (this.#freed.length > 0 && this.isQuiet) for (const resolve of this.#freed.splice(0)) resolve();
  }

  /** Nothing of it is under way on its connection, and no transaction is open. */
  get isQuiet(): boolean {
    const { server } = this;
    if (server === null || server.isBusy) return server === null;
    return this.open === null && server.status === TRANSACTION.idle && !this.messages.isStreaming;
  }

  /** A statement that waits for a connection is given up. */
  cancelWait(): void {
    if (this.waitingSince === 0 || this.server !== null) return;
    this.home.withdraw(this);
    this.refused(refusal('cancelled'));
  }

  mustConfirm(group: Group): boolean {
    return commitsUnseen(this, group);
  }

  onDeallocated(): void {
    this.preparing.clear();
  }

  onError(code: string, fields: ReadonlyMap<string, string> | undefined): void {
    noteError(this, code, fields);
  }

  onNotification(message: Buffer): void {
    this.listening.heard(message);
  }

  /** Its server is gone, with whatever was on it. */
  lost(server: ServerConnection, why: string): void {
    if (this.server !== server) return;
    this.server = null;
    server.borrower = null;
    this.handingOver = false;
    const isPinned = losesState(this, server.status);
    this.probing = false;
    this.listening.lost();
    this.onQuiet();
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

  /** Between transactions on a connection of its own. */
  get isIdlePinned(): boolean {
    return this.server !== null && this.isQuiet && this.messages.isEmpty;
  }

  /** Says why and closes. */
  end(why: Refusal): void {
    if (this.closed) return;
    toClients.open(this.socket);
    toClients.add(errorResponse({ severity: 'FATAL', ...why }));
    toClients.flush();
    this.socket.end();
    this.gone();
  }

  /** By its own word. As on a connection to PostgreSQL itself, what it has sent before is done, though nobody hears of it. */
  leaves(): void {
    const { server } = this;
    if (server?.isBusy && this.open === null) {
      this.leave(server);
      toServers.flush();
      server.finish('its client left behind a statement');
    }
    this.gone();
  }

  /** The client has left, or has been made to. */
  gone(): void {
    if (this.closed) return;
    this.closed = true;
    this.messages.close();
    this.home.withdraw(this);
    this.reads.leave();
    if (!this.socket.writableEnded) this.socket.destroy();
    else setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
    const server = this.server;
    this.server = null;
    for (const resolve of this.#freed.splice(0)) resolve();
    this.home.watch.notifications.unsubscribe(this, 'all');
    if (server !== null) this.#giveBack(server);
    this.home.ended(this);
  }

  /** What it left on the connection goes with it; only a transaction that was waiting for its client is worth a ROLLBACK. */
  #giveBack(server: ServerConnection): void {
    server.borrower = null;
    const dirty =
      this.pins !== 0 || this.traces.isProbeDue(0) || server.isBusy || this.open !== null || this.messages.isStreaming;
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
