const HEADER_BYTES = 5;

/**
 * Whole messages out of a stream that is cut anywhere, for the login: the sessions have a reader of their own, which never collects.
 * A frame is copied, once.
 */
export class FrameReader {
  readonly #maxBytes: number;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #frame: Buffer = this.#header;
  #filled = 0;
  #broken = false;

  /** `maxBytes`: of one message with its type byte and length. What is longer ends the stream. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The messages that `chunk` completes; null, now and ever after, when a length is below 4 or above the limit. */
  push(chunk: Buffer): Buffer[] | null {
    const frames: Buffer[] = [];
    let at = 0;
    while (!this.#broken && at < chunk.length) {
      const copied = chunk.copy(this.#frame, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled === HEADER_BYTES && this.#frame === this.#header) this.#open();
      if (this.#filled === this.#frame.length && this.#frame !== this.#header) {
        frames.push(this.#frame);
        this.#frame = this.#header;
        this.#filled = 0;
      }
    }
    return this.#broken ? null : frames;
  }

  /** A copy of the unfinished message: with the login over, it is the first of the session. */
  rest(): Buffer {
    return Buffer.from(this.#frame.subarray(0, this.#filled));
  }

  #open(): void {
    const size = this.#header.readUInt32BE(1) + 1;
    if (size < HEADER_BYTES || size > this.#maxBytes) {
      this.#broken = true;
      return;
    }
    this.#frame = Buffer.allocUnsafe(size);
    this.#header.copy(this.#frame);
  }
}
