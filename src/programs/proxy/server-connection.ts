import type { Socket } from 'node:net';
import { EMPTY_STATE, type SessionState } from '#core/pool/session-state.ts';
import { readErrorFields, readParameterStatus } from '#wire/decode-backend.ts';
import { errorResponse } from '#wire/encode-backend.ts';
import { copyFail, query } from '#wire/encode-frontend.ts';
import { sizeAt } from '#wire/frame.ts';
import { BACKEND } from '#wire/message-types.ts';
import { Group, type Question } from './group.ts';
import { readLastWords } from './last-words.ts';
import { CONFIRM_COMMIT, commitIsLost, isLostWait, LOST_COMMIT } from './lost-commit.ts';
import { Outgoing } from './outgoing.ts';
import type { PreparedOnServer } from './prepared-on-server.ts';
import type { Reported } from './reported.ts';
import { Tail } from './tail.ts';
import { TRANSACTION } from './transaction-status.ts';

/** Rows and COPY data above this are passed on as they come; anything smaller is passed on whole or not at all. */
const STREAM_OVER_BYTES = 32 * 1024;
const MAX_MESSAGE_BYTES = 2 ** 30 + 1024;
/** A client that reads more slowly than its server sends makes the server wait from here on. */
const CLIENT_BEHIND_BYTES = 256 * 1024;
/** A server that does not read what its last client has sent is not waited for longer. */
const FLUSH_MS = 5000;

export const toClients = new Outgoing();
export const toServers = new Outgoing();

/** Whoever has the connection at this moment. */
export interface Borrower {
  /** Of the client that the next message is for; null: of none. */
  readonly socket: Socket | null;
  /** A group of the borrower has been answered in full. */
  onReady(group: Group): void;
  /** Whether a commit of this group lost its standby would not be said by the server. */
  mustConfirm(group: Group): boolean;
  /** A question of the proxy has been answered, and nothing else is under way. */
  onQuiet(): void;
  /** What the client has been told of the parameters. */
  reported: Reported;
  /** DEALLOCATE ALL or DISCARD ALL has been done for it. */
  onDeallocated(): void;
  /** An error was passed on. */
  onError(code: string, fields: ReadonlyMap<string, string> | undefined): void;
  onNotification(message: Buffer): void;
  /** The connection is gone, with whatever was on it. */
  lost(server: ServerConnection, why: string): void;
  /** The server has been made to wait for the client. */
  onBehind?(): void;
}

export interface ServerEvents {
  onClosed(server: ServerConnection, why: string): void;
}

/** One logged-in connection to a server. What arrives is scanned by its headers and passed on to whoever has borrowed it. */
export class ServerConnection {
  readonly socket: Socket;
  readonly epoch: number;
  readonly openedAt: number;
  readonly pid: number;
  readonly secret: Buffer;
  readonly address: { readonly host: string; readonly port: number; readonly socketDir?: string };
  /** The startup parameters that it was opened with, as the pool compares them. */
  readonly signature: string;
  readonly prepared: PreparedOnServer;
  /** What is on it beyond its startup. */
  session: SessionState = EMPTY_STATE;
  /** Whose code may have set on it what nobody can name. */
  strange: object | null = null;
  /** Whose unnamed statement it holds. */
  unnamed: object | null = null;
  reported: Reported;
  status: number = TRANSACTION.idle;
  borrower: Borrower | null = null;
  lastBorrower: object | null = null;
  /** Who drew from sequences on it last, as far as can be known. */
  numbersOf: object | null = null;
  /** Set by whoever waits for `cancels` to arrive. */
  onCancelled: (() => void) | null = null;
  /** Cancel requests on their way: it is nobody else's until they have arrived. */
  cancels = 0;
  idleSince = 0;
  /** Of a connection that listens for others. */
  onNotification: ((message: Buffer) => void) | null = null;
  /** It is to be closed when it is free. */
  retired = false;
  closed = false;
  readonly expected: Group[] = [];
  /** Answered but for its ReadyForQuery: whether its commit is on a standby is being asked. */
  confirming: Group | null = null;
  /** It has said that it ends for another's sake, and not for what it ran. */
  endsWithOthers = false;
  readonly #events: ServerEvents;
  readonly #tail = new Tail();
  /** Bytes of a large message that are passed on (or, of a question, dropped) as they come. */
  #streaming = 0;
  #fatal: string | null = null;
  bytesIn = 0;

  constructor(parts: {
    socket: Socket;
    epoch: number;
    now: number;
    pid: number;
    secret: Buffer;
    address: ServerConnection['address'];
    signature: string;
    reported: Reported;
    prepared: PreparedOnServer;
    events: ServerEvents;
  }) {
    this.socket = parts.socket;
    this.epoch = parts.epoch;
    this.openedAt = parts.now;
    this.pid = parts.pid;
    this.secret = parts.secret;
    this.address = parts.address;
    this.signature = parts.signature;
    this.reported = parts.reported;
    this.prepared = parts.prepared;
    this.#events = parts.events;
    this.socket.on('end', () => this.close('the server closed the connection'));
    this.socket.on('error', (error: Error) => this.close(error.message));
    this.socket.on('close', () => this.close('the connection was lost'));
  }

  get isBusy(): boolean {
    return this.expected.length > 0;
  }

  /** A part of a message has been passed on: the client's stream cannot be continued by anything else. */
  get isMidMessage(): boolean {
    return this.#streaming > 0;
  }

  /** Asks on behalf of the proxy; goes out with the next flush of `toServers`. */
  ask(sql: string, question: Question): void {
    if (this.closed) return queueMicrotask(() => question.onDone(CLOSED));
    this.expected.push(new Group(0, true, question));
    this.unnamed = null;
    toServers.open(this.socket);
    toServers.add(query(sql));
  }

  close(why: string): void {
    this.#close(why, () => this.socket.destroy());
  }

  /** As `close`, but what was sent reaches the server, which does it before it looks for more and finds that nobody is there. */
  finish(why: string): void {
    this.#close(why, () => {
      this.socket.destroySoon();
      setTimeout(() => this.socket.destroy(), FLUSH_MS).unref();
    });
  }

  #close(why: string, end: () => void): void {
    if (this.closed) return;
    this.closed = true;
    end();
    this.#events.onClosed(this, this.#fatal ?? why);
    for (const group of this.expected.splice(0)) group.question?.onDone(CLOSED);
  }

  /** What the socket has read; `bytes` is good until this returns. */
  receive(bytes: Buffer, length: number): void {
    this.bytesIn += length;
    const borrower = this.borrower;
    const first = borrower?.socket;
    if (first != null) toClients.open(first);
    let from = 0;
    if (this.#streaming > 0) from = this.#stream(bytes, 0, length);
    while (!this.#tail.isEmpty && from < length) {
      const taken = this.#tail.fill(bytes, from, length);
      if (taken < 0) return this.close('the server sent a message of an impossible length');
      from += taken;
      const whole = this.#tail.take();
      if (whole !== null) this.#scan(whole, 0, whole.length);
    }
    if (from < length) this.#scan(bytes, from, length);
    toClients.flush();
    toServers.flush();
    const client = this.borrower === borrower ? borrower?.socket : null;
    if (client == null || client.writableLength <= CLIENT_BEHIND_BYTES) return;
    this.#waitFor(client);
    borrower?.onBehind?.();
  }

  #waitFor(client: Socket): void {
    this.socket.pause();
    const resume = () => {
      client.off('drain', resume);
      client.off('close', resume);
      if (!this.closed) this.socket.resume();
    };
    client.on('drain', resume);
    client.on('close', resume);
  }

  #stream(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#streaming);
    this.#streaming -= end - from;
    const group = this.expected[0];
    if (group?.question === null && !group.isMuted) toClients.pass(bytes, from, end);
    return end;
  }

  #scan(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (end - at >= 5) {
      const type = bytes[at] as number;
      const size = 1 + sizeAt(bytes, at + 1);
      if (size < 5 || size > MAX_MESSAGE_BYTES) return this.close('the server sent a message of an impossible length');
      if (at + size > end) {
        if (size <= STREAM_OVER_BYTES || (type !== BACKEND.dataRow && type !== BACKEND.copyData)) break;
        this.#streaming = size;
        this.#touch();
        at = this.#stream(bytes, at, end);
        return;
      }
      this.#message(type, bytes, at, at + size);
      if (this.closed) return;
      at += size;
    }
    if (at < end && this.#tail.fill(bytes, at, end) < 0) this.close('the server sent a message of an impossible length');
  }

  #touch(): void {
    const group = this.expected[0];
    if (group !== undefined) group.touched = true;
  }

  #message(type: number, bytes: Buffer, from: number, to: number): void {
    const group = this.expected[0];
    if (type === BACKEND.readyForQuery) return this.#ready(bytes, from, to);
    if (group === undefined) return this.#unasked(type, bytes, from, to);
    if (group.question !== null) return this.#answer(group, group.question, type, bytes, from, to);
    switch (type) {
      case BACKEND.parseComplete:
        if (!group.confirmParse()) return;
        break;
      case BACKEND.closeComplete:
        if (!group.confirmClose()) return;
        break;
      case BACKEND.parameterStatus:
        this.#parameter(bytes, from, to);
        if (this.borrower !== null) this.borrower.reported = this.reported;
        break;
      case BACKEND.notificationResponse:
        return this.#notified(Buffer.from(bytes.subarray(from, to)));
      case BACKEND.copyInResponse:
      case BACKEND.copyBothResponse:
        if (group.isMuted) return this.#refuseCopy();
        break;
      case BACKEND.errorResponse:
        return this.#error(group, bytes, from, to);
      case BACKEND.noticeResponse:
        if (isLostWait(bytes, from, to)) group.doubtful = true;
        else if (this.#isFarewell(bytes, from, to) || group.isMuted) return;
        break;
      case BACKEND.commandComplete:
        this.#completed(bytes, from, to);
        if (group.doubtful) return this.#doubt(group);
        break;
      default:
        break;
    }
    if (group.isMuted && (group.isDropped || type !== BACKEND.parameterStatus)) return;
    group.touched = true;
    toClients.pass(bytes, from, to);
  }

  #ready(bytes: Buffer, from: number, to: number): void {
    this.status = bytes[from + 5] as number;
    const group = this.expected.shift();
    if (group === undefined) return this.close('the server said that it is ready without having been asked');
    if (group.question !== null) {
      group.question.onDone(group.failed ?? (group.doubtful ? LOST_COMMIT : null));
      if (!this.isBusy) this.borrower?.onQuiet();
      return;
    }
    if (group.doubtful) this.#doubt(group);
    group.undoUnconfirmed();
    const { borrower } = this;
    if (borrower === null) return;
    if (group.failed === null && this.status === TRANSACTION.idle && !this.isBusy && borrower.mustConfirm(group))
      return this.#confirm(group, borrower, Buffer.from(bytes.subarray(from, to)));
    if (!group.isDropped) toClients.pass(bytes, from, to);
    borrower.onReady(group);
  }

  #confirm(group: Group, borrower: Borrower, ready: Buffer): void {
    this.confirming = group;
    this.ask(CONFIRM_COMMIT, {
      onDone: (error) => {
        this.confirming = null;
        if (this.borrower !== borrower) return;
        if (commitIsLost(error)) this.#doubt(group);
        toClients.add(ready);
        borrower.onReady(group);
      },
    });
  }

  /** Once a group: the commit is on the primary, and nobody can say whether it would outlive it. */
  #doubt(group: Group): void {
    if (group.failed !== null) return;
    group.failed = LOST_COMMIT;
    group.isMuted = true;
    group.touched = true;
    toClients.add(LOST_COMMIT);
  }

  /** The client has been told of an error, and sends no data for a COPY behind it. */
  #refuseCopy(): void {
    toServers.open(this.socket);
    toServers.add(copyFail('the commit before it was lost'));
  }

  #error(group: Group, bytes: Buffer, from: number, to: number): void {
    const message = Buffer.from(bytes.subarray(from, to));
    const fields = readErrorFields(message);
    const severity = fields?.get('V') ?? fields?.get('S');
    if (group.isMuted && severity === 'ERROR') return;
    // Its end is the end of the connection, which is told in the client's terms then.
    if (severity === 'FATAL' || severity === 'PANIC') {
      this.#fatal = `${fields?.get('C') ?? ''} ${fields?.get('M') ?? ''}`.trim();
      return;
    }
    group.failed = message;
    group.touched = true;
    this.borrower?.onError(fields?.get('C') ?? 'XX000', fields);
    toClients.add(this.prepared.inClientsTerms(message, fields));
  }

  #answer(group: Group, question: Question, type: number, bytes: Buffer, from: number, to: number): void {
    if (type === BACKEND.dataRow) question.onRow?.(Buffer.from(bytes.subarray(from, to)));
    else if (type === BACKEND.errorResponse) group.failed ??= Buffer.from(bytes.subarray(from, to));
    else if (type === BACKEND.parameterStatus) this.#parameter(bytes, from, to);
    else if (type === BACKEND.noticeResponse) group.doubtful ||= isLostWait(bytes, from, to);
    else if (type === BACKEND.commandComplete) this.#completed(bytes, from, to);
    else if (type === BACKEND.notificationResponse) this.#notified(Buffer.from(bytes.subarray(from, to)));
  }

  #notified(message: Buffer): void {
    if (this.borrower === null) this.onNotification?.(message);
    else this.borrower.onNotification(message);
  }

  #isFarewell(bytes: Buffer, from: number, to: number): boolean {
    const words = readLastWords(bytes, from, to);
    if (words === null) return false;
    this.#fatal = words;
    this.endsWithOthers = true;
    return true;
  }

  /** What a server sends by itself: notices, parameters that a reload changed, notifications, and its farewell. */
  #unasked(type: number, bytes: Buffer, from: number, to: number): void {
    if (type === BACKEND.parameterStatus) return this.#parameter(bytes, from, to);
    const message = Buffer.from(bytes.subarray(from, to));
    if (type === BACKEND.notificationResponse) return this.#notified(message);
    if (type === BACKEND.errorResponse) {
      const fields = readErrorFields(message);
      this.#fatal = `${fields?.get('C') ?? ''} ${fields?.get('M') ?? ''}`.trim();
      this.retired = true;
      // At once: what would be sent to it until its end arrives would be sent in vain.
      const severity = fields?.get('V') ?? fields?.get('S');
      if (severity === 'FATAL' || severity === 'PANIC') this.close(this.#fatal);
    }
  }

  #parameter(bytes: Buffer, from: number, to: number): void {
    const read = readParameterStatus(bytes.subarray(from, to));
    if (read === undefined) return;
    this.reported = this.reported.with(read.name, read.value);
  }

  /** DEALLOCATE ALL and DISCARD ALL drop what the proxy has prepared for everybody. */
  #completed(bytes: Buffer, from: number, to: number): void {
    // "DEALLOCATE ALL", "DISCARD ALL": a D and an L at the end.
    if (bytes[from + 5] !== 0x44 || bytes[to - 2] !== 0x4c) return;
    const tag = bytes.toString('latin1', from + 5, to - 1);
    if (tag === 'DEALLOCATE ALL' || tag === 'DISCARD ALL') {
      this.prepared.clear();
      this.unnamed = null;
      if (this.expected[0]?.question === null) this.borrower?.onDeallocated();
    }
  }
}

/** The answer to a question whose connection is gone. */
const CLOSED = errorResponse({ severity: 'ERROR', code: '08006', message: 'the connection to the server was lost' });
