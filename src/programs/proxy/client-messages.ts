import { sizeAt } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';
import type { ClientSession } from './client-session.ts';
import { GROUP, Group } from './group.ts';
import { unsentMessages } from './memory-budget.ts';
import { type Refusal, refusal } from './refusals.ts';
import { toServers } from './server-connection.ts';
import { Tail } from './tail.ts';

/** PostgreSQL's own limits (src/backend/libpq/pqcomm.c, PQ_LARGE_MESSAGE_LIMIT and PQ_SMALL_MESSAGE_LIMIT). */
const LARGE_BYTES = 2 ** 30 - 1;
const SMALL_BYTES = 10_000;
/** Texts of statements are read whole before they go on, up to this size. */
const TEXT_BYTES = 64 * 2 ** 20;
/** Parameters and COPY data above this go on as they come. */
const STREAM_OVER_BYTES = 64 * 1024;
/** A server that reads more slowly than its client sends makes the client wait from here on. */
const COUNTED_OVER_BYTES = 16 * 1024;
const SERVER_BEHIND_BYTES = 256 * 1024;

function limitOf(type: number): number {
  switch (type) {
    case FRONTEND.query:
    case FRONTEND.parse:
      return TEXT_BYTES;
    case FRONTEND.bind:
    case FRONTEND.copyData:
    case FRONTEND.functionCall:
      return LARGE_BYTES;
    case FRONTEND.describe:
    case FRONTEND.close:
    case FRONTEND.execute:
    case FRONTEND.sync:
    case FRONTEND.flush:
    case FRONTEND.copyDone:
    case FRONTEND.copyFail:
    case FRONTEND.terminate:
      return SMALL_BYTES;
    default:
      return 0;
  }
}

/** What a client sends: cut into messages, and each given on, held, or answered. */
export class ClientMessages {
  readonly #session: ClientSession;
  readonly #aheadBytes: number;
  readonly #tail = new Tail();
  /** Whole and partial messages that have to wait, in order. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #streaming = 0;
  #dropping = false;
  #running = false;
  #isPaused = false;
  /** Bytes that the budget has been told of. */
  #countedBytes = 0;

  constructor(session: ClientSession, aheadBytes: number) {
    this.#session = session;
    this.#aheadBytes = aheadBytes;
  }

  get isEmpty(): boolean {
    return this.#heldBytes === 0 && this.#tail.isEmpty && this.#streaming === 0;
  }

  /** The beginning of a message has gone to the server: nothing but its rest may follow there. */
  get isStreaming(): boolean {
    return this.#streaming > 0 && !this.#dropping;
  }

  /** What the socket has read; `bytes` is good until this returns. */
  receive(bytes: Buffer, length: number): void {
    // It belonged to what has ended with the session, such as a transaction, and must not be done outside of that.
    if (this.#session.closed) return;
    this.#session.activeAt = performance.now();
    this.#session.home.stats.bytesFromClients += length;
    if (this.#heldBytes > 0) this.#hold(bytes, 0, length);
    else this.#consume(bytes, length);
    if (this.#countedBytes > 0 || this.#keptBytes > COUNTED_OVER_BYTES) this.#count();
  }

  get #keptBytes(): number {
    return this.#heldBytes + this.#tail.length;
  }

  #count(): void {
    const { server, closed } = this.#session;
    const behind = server === null ? 0 : server.socket.writableLength;
    const kept = closed ? 0 : this.#keptBytes + (behind > SERVER_BEHIND_BYTES ? behind : 0);
    const isWithin = unsentMessages.add(kept - this.#countedBytes);
    this.#countedBytes = kept;
    if (!isWithin) this.#session.end(refusal('outOfMemory'));
  }

  /** The client has gone: nothing of it is kept. */
  close(): void {
    this.#held = [];
    this.#heldBytes = 0;
    this.#tail.drain();
    if (this.#countedBytes > 0) this.#count();
  }

  get canResume(): boolean {
    return this.#heldBytes > 0 && !this.#running;
  }

  /** What was held goes on. */
  resume(): void {
    if (this.#heldBytes === 0 || this.#running) return;
    const bytes = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    if (this.#isPaused) this.#session.socket.resume();
    this.#isPaused = false;
    this.#consume(bytes, bytes.length);
    if (this.#countedBytes > 0) this.#count();
  }

  /** As if the client had sent it just now, before what it has sent since. */
  repeat(bytes: Buffer): void {
    // What has come of the next message stands behind it.
    if (!this.#tail.isEmpty) {
      this.#heldBytes += this.#tail.length;
      this.#held.unshift(Buffer.from(this.#tail.drain()));
    }
    this.#held.unshift(bytes);
    this.#heldBytes += bytes.length;
    this.resume();
  }

  /** The message that waits at the head of what is held is answered by an error, and what follows goes on. */
  refuse(why: Refusal): void {
    const head = this.#held[0];
    if (head === undefined) return;
    const type = head[0] as number;
    this.#session.tell(why, type);
    // Of an extended query, what follows up to the Sync is passed over with it.
    if (type === FRONTEND.query || type === FRONTEND.functionCall) this.#dropFirst();
    this.resume();
  }

  #dropFirst(): void {
    const bytes = Buffer.concat(this.#held);
    const rest = bytes.subarray(1 + sizeAt(bytes, 1));
    this.#held = rest.length === 0 ? [] : [rest];
    this.#heldBytes = rest.length;
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    if (from === to) return;
    this.#held.push(Buffer.from(bytes.subarray(from, to)));
    this.#heldBytes += to - from;
    if (this.#heldBytes <= this.#aheadBytes) return;
    this.#isPaused = true;
    this.#session.socket.pause();
  }

  #consume(bytes: Buffer, length: number): void {
    this.#running = true;
    const server = this.#session.server;
    if (server !== null) toServers.open(server.socket);
    this.#messages(bytes, length);
    this.#running = false;
    toServers.flush();
    const now = this.#session.server;
    if (now !== null && now.socket.writableLength > SERVER_BEHIND_BYTES) this.#waitFor(now.socket);
  }

  #waitFor(server: import('node:net').Socket): void {
    const { socket } = this.#session;
    socket.pause();
    const resume = () => {
      server.off('drain', resume);
      server.off('close', resume);
      socket.resume();
      if (this.#countedBytes > 0) this.#count();
    };
    server.on('drain', resume);
    server.on('close', resume);
  }

  #messages(bytes: Buffer, length: number): void {
    let at = this.#streaming > 0 ? this.#stream(bytes, 0, length) : 0;
    while (!this.#tail.isEmpty && at < length) {
      const taken = this.#tail.fill(bytes, at, length);
      if (taken < 0) return this.#session.end(refusal('protocol'));
      at += taken;
      const whole = this.#tail.take();
      if (whole === null) {
        if (!this.#checkTail()) return;
        continue;
      }
      if (!this.#whole(whole, 0, whole.length)) {
        this.#hold(whole, 0, whole.length);
        return this.#hold(bytes, at, length);
      }
      if (this.#session.closed) return;
    }
    if (at < length) this.#scan(bytes, at, length);
  }

  #scan(bytes: Buffer, start: number, end: number): void {
    let at = start;
    while (end - at >= 5) {
      const type = bytes[at] as number;
      const size = 1 + sizeAt(bytes, at + 1);
      if (size < 5 || size - 1 > limitOf(type)) return this.#impossible(type, size);
      if (at + size > end) {
        if (size > STREAM_OVER_BYTES && this.#startStream(type, bytes, at, end, size)) return;
        break;
      }
      const read = this.#session.reads.begin(type, bytes, at, end);
      if (read >= 0) at = read;
      else if (this.#whole(bytes, at, at + size)) at += size;
      else return this.#hold(bytes, at, end);
      if (this.#session.closed) return;
    }
    if (at < end) this.#tail.fill(bytes, at, end);
  }

  /** The header may have come in pieces. */
  #checkTail(): boolean {
    const { header } = this.#tail;
    if (header === null) return true;
    const type = header[0] as number;
    const size = 1 + sizeAt(header, 1);
    if (size < 5 || size - 1 > limitOf(type)) {
      this.#impossible(type, size);
      return false;
    }
    return true;
  }

  #impossible(type: number, size: number): void {
    if (limitOf(type) === 0) {
      const message = `invalid frontend message type ${type}`;
      return this.#session.end({ ...refusal('protocol'), message });
    }
    this.#session.end({ ...refusal(size < 5 ? 'protocol' : 'tooLarge') });
  }

  /** Passes a large body on as it comes. False: it has to be gathered first. */
  #startStream(type: number, bytes: Buffer, at: number, end: number, size: number): boolean {
    const session = this.#session;
    if (type === FRONTEND.copyData) {
      this.#dropping = session.server === null || session.skipping;
      this.#streaming = size;
      this.#stream(bytes, at, end);
      return true;
    }
    return false;
  }

  #stream(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#streaming);
    this.#streaming -= end - from;
    if (!this.#dropping && this.#session.server !== null) toServers.pass(bytes, from, end);
    if (this.#streaming === 0 && !this.#dropping) this.#session.streamed();
    return end;
  }

  /** False: it has to wait. */
  #whole(bytes: Buffer, from: number, to: number): boolean {
    const session = this.#session;
    const type = bytes[from] as number;
    if (session.reads.convoy !== null && type !== FRONTEND.terminate) return false;
    if (session.skipping) {
      if (type === FRONTEND.sync) {
        session.skipping = false;
        session.sayReady();
      } else if (type === FRONTEND.terminate) session.leaves();
      return true;
    }
    switch (type) {
      case FRONTEND.terminate:
        session.leaves();
        return true;
      case FRONTEND.copyData:
      case FRONTEND.copyDone:
      case FRONTEND.copyFail:
        // Behind an error of its COPY a client may still be sending; PostgreSQL passes that over as well.
        if (session.server?.isBusy) toServers.pass(bytes, from, to);
        return true;
      case FRONTEND.sync:
        return this.#sync(bytes, from, to);
      case FRONTEND.flush:
        if (session.open !== null) toServers.pass(bytes, from, to);
        return true;
      default:
        break;
    }
    if (type === FRONTEND.parse && session.needsNothing && session.preparing.parseAtOnce(bytes, from, to)) return true;
    if (!session.ready(type, bytes, from, to)) return false;
    if (session.server === null) return true;
    return this.#work(type, bytes, from, to);
  }

  #work(type: number, bytes: Buffer, from: number, to: number): boolean {
    const session = this.#session;
    const server = session.server;
    if (server === null) return true;
    if (session.preparing.mustWait(server, type, bytes, from, to)) return false;
    toServers.open(server.socket);
    switch (type) {
      case FRONTEND.query:
        session.preparing.query(server, bytes, from, to);
        return true;
      case FRONTEND.parse:
        session.preparing.parse(server, bytes, from, to);
        return true;
      case FRONTEND.bind:
        session.preparing.bind(server, bytes, from, to);
        return true;
      case FRONTEND.describe:
      case FRONTEND.close:
        session.preparing.target(server, type, bytes, from, to);
        return true;
      case FRONTEND.functionCall:
        session.preparing.call(server, bytes, from, to);
        return true;
      default:
        session.group(server);
        session.inFlight.keep(bytes, from, to);
        toServers.pass(bytes, from, to);
        return true;
    }
  }

  #sync(bytes: Buffer, from: number, to: number): boolean {
    const session = this.#session;
    const { server, open } = session;
    if (server === null || (open === null && !server.isBusy)) {
      if (session.waitingSince !== 0 || session.handingOver) return false;
      session.sayReady();
      // Nothing went to the server: what was to be prepared is there already.
      session.releaseIfFree();
      return true;
    }
    session.inFlight.keep(bytes, from, to);
    const group = open ?? new Group(GROUP.reads, true, null);
    if (open === null) server.expected.push(group);
    group.synced = true;
    group.endsAt = session.inFlight.end;
    session.open = null;
    toServers.pass(bytes, from, to);
    return true;
  }
}
