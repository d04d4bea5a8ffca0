/** Beyond this a line is not read on. */
const MAX_LINE_BYTES = 8 << 20;

/** Cuts a stream into its lines, wherever the network cut it. */
export class LineReader {
  readonly #maxBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that are complete now, without the empty ones. Throws when a line is longer than the maximum. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, end));
      // Decoded as a whole: a character may have been cut, too.
      const line = Buffer.concat(this.#chunks).toString('utf8').trim();
      if (line !== '') lines.push(line);
      this.#chunks = [];
      this.#bytes = 0;
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw new RangeError(`a line of more than ${this.#maxBytes} bytes`);
    if (part.length > 0) this.#chunks.push(part);
  }
}
