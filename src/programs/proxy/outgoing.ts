import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { sharedBuffer } from './shared-buffer.ts';

const BYTES = 64 * 1024;

/**
 * What goes to one socket in one turn: gathered, then written once. What was read into the shared buffer is always copied, into a
 * scratch buffer that is replaced when a socket cannot take all of it at once: every other socket goes on reading into the shared one. One instance serves every socket of its direction, because
 * whoever gathers also flushes before anybody else's turn.
 */
export class Outgoing {
  readonly #bytes: number;
  #scratch: Buffer;
  #length = 0;
  #source: Buffer | null = null;
  #from = 0;
  #to = 0;
  #socket: Socket | null = null;

  constructor(bytes = BYTES) {
    this.#bytes = bytes;
    this.#scratch = Buffer.allocUnsafeSlow(bytes);
  }

  /** From now on for this socket. What is gathered for another one goes out first. */
  open(socket: Socket): void {
    if (this.#socket === socket) return;
    this.flush();
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#source === null && this.#length === 0;
  }

  /** `bytes[from, to)` as they are; they must stay as they are until the flush. */
  pass(bytes: Buffer, from: number, to: number): void {
    if (this.#source === bytes && this.#to === from) {
      this.#to = to;
      return;
    }
    if (this.#source === null && this.#length === 0) {
      this.#source = bytes;
      this.#from = from;
      this.#to = to;
      return;
    }
    this.#settle();
    this.#copy(bytes, from, to);
  }

  add(bytes: Buffer): void {
    this.pass(bytes, 0, bytes.length);
  }

  /** As `pass`, for bytes that change before the flush. */
  copy(bytes: Buffer, from: number, to: number): void {
    this.#settle();
    this.#copy(bytes, from, to);
  }

  /** What is gathered is for nobody. */
  drop(): void {
    this.#socket = null;
    this.#source = null;
    this.#length = 0;
  }

  flush(): void {
    const socket = this.#socket;
    if (socket === null) return;
    if (this.#source !== null) {
      const source = this.#source;
      this.#source = null;
      if (this.#length === 0 && !sharedBuffer.holds(source)) {
        write(socket, source, this.#from, this.#to);
        return;
      }
      this.#copy(source, this.#from, this.#to);
    }
    if (this.#length > 0) this.#writeScratch(socket);
  }

  /** The run that was only remembered is copied, because another one follows. */
  #settle(): void {
    const source = this.#source;
    if (source === null) return;
    this.#source = null;
    this.#copy(source, this.#from, this.#to);
  }

  #copy(bytes: Buffer, from: number, to: number): void {
    if (this.#socket === null) return;
    const size = to - from;
    if (this.#length + size > this.#bytes) {
      this.#writeScratch(this.#socket);
      if (size > this.#bytes / 2) return write(this.#socket, bytes, from, to);
    }
    bytes.copy(this.#scratch, this.#length, from, to);
    this.#length += size;
  }

  #writeScratch(socket: Socket): void {
    if (this.#length === 0) return;
    const length = this.#length;
    this.#length = 0;
    if (isTls(socket)) return void socket.write(Buffer.from(this.#scratch.subarray(0, length)));
    socket.write(this.#scratch.subarray(0, length));
    // What the kernel did not take at once stays in this memory until it does.
    if (socket.writableLength > 0) this.#scratch = Buffer.allocUnsafeSlow(this.#bytes);
  }
}

function write(socket: Socket, bytes: Buffer, from: number, to: number): void {
  const run = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
  socket.write(sharedBuffer.holds(bytes) ? Buffer.from(run) : run);
}

/** TLS takes a write later than it is made, every time: a copy of its size is cheaper than a new buffer. */
export function isTls(socket: Socket): boolean {
  return (socket as Partial<TLSSocket>).encrypted === true;
}
