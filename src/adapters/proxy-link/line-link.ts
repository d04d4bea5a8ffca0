import type { Duplex } from 'node:stream';
import { FrameReader } from '../peers/frames.ts';
import { BEAT_EVERY_MS, SILENCE_MS } from './messages.ts';

const CHECK_EVERY_MS = 500;
/** What the other end has not read yet. More than this, and it does not read. */
const MAX_UNREAD_BYTES = 1 << 20;

export interface LineLinkOptions {
  readonly socket: Duplex;
  /** The first lines are the answer to the upgrade. */
  readonly upgrading: boolean;
  /** What is said every second. */
  beat(): unknown;
  /** The upgrade was answered with 101. */
  onUp?(): void;
  onMessage(json: unknown): void;
  /** Once, however it ended. */
  onClosed(): void;
}

/** Lines of JSON both ways over one connection. Either end notices within three seconds that the other one says nothing any more. */
export class LineLink {
  readonly #options: LineLinkOptions;
  readonly #reader = new FrameReader();
  readonly #check: NodeJS.Timeout;
  #upgraded: boolean;
  #heardAt = performance.now();
  #saidAt = performance.now();
  #checkedAt = performance.now();

  constructor(options: LineLinkOptions) {
    const { socket } = options;
    this.#options = options;
    this.#upgraded = !options.upgrading;
    this.#check = setInterval(() => this.#look(), CHECK_EVERY_MS);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('end', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      clearInterval(this.#check);
      options.onClosed();
    });
  }

  /** False when it was dropped: the link is not up, or the other end does not read. */
  send(json: unknown): boolean {
    const { socket } = this.#options;
    if (!this.#upgraded || socket.destroyed) return false;
    if (socket.writableLength > MAX_UNREAD_BYTES) {
      socket.destroy();
      return false;
    }
    this.#saidAt = performance.now();
    socket.write(`${JSON.stringify(json)}\n`);
    return true;
  }

  /** Bytes that came before the link was made. */
  receive(head: Buffer): void {
    if (head.length > 0) this.#read(head);
  }

  close(): void {
    this.#options.socket.destroy();
  }

  #look(): void {
    const now = performance.now();
    // This process itself may have stood still: what the other end said meanwhile waits to be read.
    if (now - this.#checkedAt > 2 * CHECK_EVERY_MS) this.#heardAt = Math.max(this.#heardAt, now - CHECK_EVERY_MS);
    this.#checkedAt = now;
    if (now - this.#heardAt > SILENCE_MS) this.close();
    else if (now - this.#saidAt > BEAT_EVERY_MS - CHECK_EVERY_MS) this.send(this.#options.beat());
  }

  #read(chunk: Buffer): void {
    const lines = this.#reader.read(chunk);
    if (lines === null) return this.close();
    this.#heardAt = performance.now();
    for (const line of lines) {
      if (this.#options.socket.destroyed) return;
      if (this.#upgraded) this.#message(line);
      else if (line.startsWith('HTTP/') && !line.startsWith('HTTP/1.1 101 ')) return this.close();
      else if (line.trim() === '') {
        this.#upgraded = true;
        this.#options.onUp?.();
      }
    }
  }

  #message(line: string): void {
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      // What follows cannot be trusted either.
      return this.close();
    }
    this.#options.onMessage(json);
  }
}
