import type { TLSSocket } from 'node:tls';
import { FrameReader } from './frames.ts';

/** Confirmations of several frames go together: each packet costs both processes as much as a message does. */
const CONFIRM_AFTER_MS = 300;
const CONFIRM_AFTER_FRAMES = 64;
/** An idle link of a machine that vanished without a word is noticed by TCP after about a minute. */
const KEEP_ALIVE_MS = 10_000;

/**
 * Reads what a peer sends over the link that it dialled, and confirms by the number of frames so far. Confirmations are what lets
 * the sender tell a peer that reads from one that is stopped, whose kernel goes on taking bytes.
 */
export class IncomingLink {
  readonly #socket: TLSSocket;
  readonly #reader = new FrameReader();
  readonly #onFrame: (json: unknown) => void;
  #received = 0;
  #confirmed = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: TLSSocket, head: Buffer, onFrame: (json: unknown) => void, onClosed: () => void) {
    this.#socket = socket;
    this.#onFrame = onFrame;
    socket.setTimeout(0);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // The dialler ends its links by closing them; half a link is none.
    socket.on('end', () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(this.#timer);
      onClosed();
    });
    if (head.length > 0) this.#read(head);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const lines = this.#reader.read(chunk);
    if (lines === null) return this.close();
    for (const line of lines) {
      const frame = parse(line);
      // No peer of ours sends this, and what follows cannot be trusted either.
      if (frame === undefined) return this.close();
      this.#received += 1;
      this.#onFrame(frame.json);
      if (this.#socket.destroyed) return;
    }
    if (this.#received - this.#confirmed >= CONFIRM_AFTER_FRAMES) this.#confirm();
    else if (this.#received > this.#confirmed) this.#timer ??= setTimeout(() => this.#confirm(), CONFIRM_AFTER_MS);
  }

  #confirm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#confirmed = this.#received;
    this.#socket.write(`${this.#received}\n`);
  }
}

function parse(line: string): { readonly json: unknown } | undefined {
  try {
    return { json: JSON.parse(line) };
  } catch {
    return undefined;
  }
}
