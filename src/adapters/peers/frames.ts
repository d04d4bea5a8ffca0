/** A frame is one line of JSON. */
export const MAX_FRAME_BYTES = 64 * 1024;
const NEWLINE = 0x0a;

/** Cuts a stream of bytes into lines; holds at most one unfinished one. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(maxBytes = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that `chunk` completes, without their ends. Null: a line is longer than allowed, and the stream is of no more use. */
  read(chunk: Buffer): readonly string[] | null {
    const lines: string[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      const piece = chunk.subarray(start, end);
      if (this.#rest.length + piece.length > this.#maxBytes) return null;
      lines.push(this.#rest.length === 0 ? piece.toString('utf8') : Buffer.concat([this.#rest, piece]).toString('utf8'));
      this.#rest = Buffer.alloc(0);
      start = end + 1;
    }
    if (start < chunk.length) this.#rest = Buffer.concat([this.#rest, chunk.subarray(start)]);
    return this.#rest.length > this.#maxBytes ? null : lines;
  }
}
