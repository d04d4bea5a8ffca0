import type { SessionState } from '#core/pool/session-state.ts';
import { MOST_BYTES, mayShare, type Reader } from '#core/pool/sharing.ts';
import { isPlainRead, mayBeginRead } from '#sql/is-plain-read.ts';
import { readStatement } from '#sql/read-statement.ts';
import { shapeOf } from '#sql/shape-of.ts';
import { close } from '#wire/encode-frontend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import type { ClientSession } from './client-session.ts';
import type { Convoy } from './convoy.ts';
import { isTls } from './outgoing.ts';
import { isOfBuiltinTypes } from './parameter-types.ts';
import type { Statement } from './prepared-on-server.ts';
import { endBehindBind, endOf, isWholeQuery } from './read-messages.ts';
import { refusal } from './refusals.ts';
import type { ServerConnection } from './server-connection.ts';
import { SharedRead } from './shared-read.ts';
import { factsOf } from './statements.ts';
import { TEXT_AT, type Unnamed, unnamedStatement } from './unnamed-statement.ts';

const NONE = -1;
/** The most that TLS sends in one piece. */
const RECORD_BYTES = 16 * 1024;
const HEADER = Buffer.allocUnsafeSlow(5);

/** Reads of a session that need no connection of their own: each a whole transaction, sent among those of others. */
export class SessionReads implements Reader {
  /** Where its read is; null: none is under way. */
  convoy: Convoy | null = null;
  /** What it has waited for, until it is known what for. */
  offered: ServerConnection | null = null;
  readonly #session: ClientSession;

  constructor(session: ClientSession) {
    this.#session = session;
  }

  get signature(): string {
    return this.#session.signature;
  }

  get state(): SessionState {
    return this.#session.state;
  }

  get pins(): number {
    return this.#session.pins;
  }

  get isShaken(): boolean {
    return this.#session.loss.isOpen || this.#session.loss.isRepeating;
  }

  get unreadBytes(): number {
    const { socket } = this.#session;
    const { writableLength } = socket;
    // TLS says that a write is done a turn later than it is: up to a record it may well be.
    return isTls(socket) && writableLength <= RECORD_BYTES ? 0 : writableLength;
  }

  /** A part of a message of its answer has been passed on. */
  get isMidMessage(): boolean {
    return this.convoy?.isMidMessageOf(this.#session) === true;
  }

  /** Sends the read that begins at `from`, when it is one and there is a place for it: where it ends, else -1. */
  begin(type: number, bytes: Buffer, from: number, to: number): number {
    const session = this.#session;
    if (!session.needsNothing || session.skipping || !session.home.convoys.isOn || !mayShare(this)) return NONE;
    switch (type) {
      case FRONTEND.query:
        return this.#query(bytes, from, to);
      case FRONTEND.parse:
        return this.#unnamed(bytes, from, to);
      case FRONTEND.bind:
        return this.#named(bytes, from, to);
      default:
        return NONE;
    }
  }

  #query(bytes: Buffer, from: number, to: number): number {
    const end = endOf(bytes, from, to);
    if (end < 0 || end - from > MOST_BYTES || !mayBeginRead(bytes[from + 5]) || !isWholeQuery(bytes, from, end)) return NONE;
    const { home, preparing } = this.#session;
    if (!isPlainRead(readStatement(bytes, from + 5, end - 1, home.watch.hazards))) return NONE;
    const convoy = this.#place(shapeOf(bytes, from + 5, end - 1));
    if (convoy === null) return NONE;
    preparing.unnamed = null;
    convoy.stream.unnamed = null;
    convoy.out.copy(bytes, from, end);
    return this.#sent(convoy, null, bytes, from, end);
  }

  /** Parse of the unnamed statement, Bind, Execute, Sync. */
  #unnamed(bytes: Buffer, from: number, to: number): number {
    if (bytes[from + 5] !== 0 || !mayBeginRead(bytes[from + TEXT_AT])) return NONE;
    const parsed = endOf(bytes, from, to);
    const bound = parsed < 0 ? NONE : endOf(bytes, parsed, to);
    // Both the portal and the statement have no name.
    if (bound < 0 || bytes[parsed] !== FRONTEND.bind || bytes[parsed + 5] !== 0 || bytes[parsed + 6] !== 0) return NONE;
    const end = endBehindBind(bytes, bound, to);
    if (end < 0 || end - from > MOST_BYTES) return NONE;
    const textEnd = bytes.indexOf(0, from + TEXT_AT);
    if (textEnd >= parsed || !isOfBuiltinTypes(bytes, textEnd + 1, parsed)) return NONE;
    const { home, preparing } = this.#session;
    const unnamed = unnamedStatement(preparing.unnamed, bytes, from, parsed, textEnd, home.watch.hazards);
    if (!isPlainRead(unnamed.facts)) return NONE;
    const convoy = this.#place(shapeOf(bytes, from + TEXT_AT, textEnd));
    if (convoy === null) return NONE;
    preparing.unnamed = unnamed;
    convoy.stream.unnamed = unnamed;
    convoy.out.copy(bytes, from, end);
    return this.#sent(convoy, unnamed, bytes, from, end);
  }

  /** Bind of a statement that the client has prepared before, Execute, Sync. */
  #named(bytes: Buffer, from: number, to: number): number {
    const bound = endOf(bytes, from, to);
    if (bound < 0 || bytes[from + 5] !== 0 || bytes[from + 6] === 0) return NONE;
    const nameEnd = bytes.indexOf(0, from + 6);
    const end = endBehindBind(bytes, bound, to);
    if (nameEnd >= bound || end < 0 || end - from > MOST_BYTES) return NONE;
    const { home, preparing } = this.#session;
    const statement = preparing.statementOf(bytes.toString('latin1', from + 6, nameEnd));
    if (statement === undefined || !statement.isOfBuiltinTypes || !isPlainRead(factsOf(statement, home.watch.hazards)))
      return NONE;
    const convoy = this.#place(statement.shape);
    if (convoy === null) return NONE;
    const { prepared } = convoy.stream;
    const isMissing = !prepared.has(statement);
    if (isMissing) {
      const surplus = prepared.surplus(home.preparedPerServer);
      if (surplus !== undefined) {
        prepared.delete(surplus);
        convoy.out.add(close('S', surplus.name));
      }
      prepared.add(statement);
      convoy.out.copy(statement.message, 0, statement.message.length);
    }
    const { nameBytes } = statement;
    HEADER[0] = FRONTEND.bind;
    HEADER.writeInt32BE(bound - from - 1 + nameBytes.length - (nameEnd + 1 - from - 6), 1);
    convoy.out.copy(HEADER, 0, 5);
    convoy.out.copy(bytes, from + 5, from + 6);
    convoy.out.copy(nameBytes, 0, nameBytes.length);
    convoy.out.copy(bytes, nameEnd + 1, end);
    return this.#sent(convoy, isMissing ? statement : null, bytes, from, end);
  }

  readonly #cost = { shape: 0, expectedUs: 0 };
  #now = 0;

  #place(shape: number): Convoy | null {
    const session = this.#session;
    const { convoys } = session.home;
    this.#cost.shape = shape;
    this.#cost.expectedUs = convoys.costs.expectedUs(shape);
    this.#now = performance.now();
    const convoy = convoys.place(session, this.#cost.expectedUs, this.#now);
    if (convoy === null) return null;
    if (!convoy.stream.isBusy) session.report(convoy.stream);
    return convoy;
  }

  #sent(convoy: Convoy, prepares: Statement | Unnamed | null, bytes: Buffer, from: number, end: number): number {
    const session = this.#session;
    session.inFlight.keep(bytes, from, end);
    session.home.stats.statements += 1;
    const server = convoy.stream;
    if (server.isBusy) session.home.stats.joinedReads += 1;
    convoy.add(new SharedRead(session, server, this.#cost, this.#now, prepares));
    this.convoy = convoy;
    session.home.convoys.sends(convoy, session);
    return end;
  }

  answered(now: number): void {
    const session = this.#session;
    const { home } = session;
    this.stopWaiting();
    this.convoy = null;
    session.inFlight.clear();
    session.traces.clear();
    const us = (now - session.activeAt) * 1000;
    session.activeAt = now;
    home.stats.transactions += 1;
    home.stats.latency.query.observe(us);
    home.stats.latency.transaction.observe(us);
    session.loss.answered();
    session.listening.deliverLate();
    session.messages.resume();
  }

  /** It has waited for long behind others: whichever connection is at it first has it. */
  hedge(): void {
    const session = this.#session;
    if (session.waitingSince !== 0 || this.convoy === null) return;
    session.home.stats.hedgedReads += 1;
    const server = session.home.checkout(session);
    if (server !== null) this.granted(server);
    else if (this.convoy !== null) session.waitingSince = performance.now();
  }

  /** A connection for which the session has waited: when it waits with a read, others may join. False: it takes it as for anything else. */
  offer(server: ServerConnection): boolean {
    const session = this.#session;
    if (!session.messages.canResume || !session.needsNothing || !mayShare(this)) return false;
    this.offered = server;
    session.messages.resume();
    const left = this.takeOffered();
    if (left !== null) session.home.release(left);
    return true;
  }

  takeOffered(): ServerConnection | null {
    const server = this.offered;
    this.offered = null;
    return server;
  }

  /** A connection of its own has come free before the other one was at it. */
  granted(server: ServerConnection): void {
    const session = this.#session;
    this.leave();
    const bytes = session.inFlight.take();
    session.take(server);
    session.messages.repeat(bytes);
  }

  /** It is not to be waited for where it is. */
  sendElsewhere(): void {
    const session = this.#session;
    this.stopWaiting();
    this.convoy = null;
    session.messages.repeat(session.inFlight.take());
  }

  /** The client has asked for its end, before the server was at it. */
  cancelled(): void {
    const session = this.#session;
    this.leave();
    session.inFlight.clear();
    session.tell(refusal('cancelled'), FRONTEND.query);
    session.messages.resume();
  }

  lost(server: ServerConnection, read: SharedRead, why: string, isMidMessage: boolean): void {
    const session = this.#session;
    this.stopWaiting();
    this.convoy = null;
    if (isMidMessage) session.end(refusal('cutOff', why));
    else session.loss.ofRead(server, read, why);
  }

  /** The server is at it: no other connection is looked for. */
  stopWaiting(): void {
    const session = this.#session;
    if (session.waitingSince === 0) return;
    session.home.withdraw(session);
    session.waitingSince = 0;
    session.noticed = false;
  }

  /** The client has left, or has another connection. */
  leave(): void {
    const { convoy } = this;
    if (convoy === null) return;
    this.stopWaiting();
    this.convoy = null;
    convoy.leave(this.#session);
  }
}
