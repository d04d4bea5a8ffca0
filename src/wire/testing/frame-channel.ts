import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { FrameReader } from '../frame-reader.ts';

/** One side of a connection, message by message. */
export class FrameChannel {
  readonly #stream: Duplex;
  readonly #reader = new FrameReader(100_000);
  readonly #frames: Buffer[] = [];

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('data', (chunk: Buffer) => {
      this.#frames.push(...(this.#reader.push(chunk) ?? []));
      stream.emit('frames');
    });
    // `next` hears of the end; an error before it has nobody else to go to.
    stream.on('error', () => {});
  }

  send(...messages: readonly Buffer[]): void {
    this.#stream.write(Buffer.concat(messages));
  }

  /** Rejects when the other side has ended the connection. */
  async next(): Promise<Buffer> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      if (this.#stream.readableEnded || this.#stream.destroyed) throw new Error('the connection has ended');
      await Promise.race([once(this.#stream, 'frames'), once(this.#stream, 'close')]);
    }
  }

  end(): void {
    this.#stream.end();
  }
}
