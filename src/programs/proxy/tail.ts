const FIRST_BYTES = 4096;
const HEADER = 5;

/** The beginning of a message whose rest has not arrived. It grows with what arrives, never with what its length claims. */
export class Tail {
  readonly #maxBytes: number;
  #bytes: Buffer | null = null;
  #length = 0;

  constructor(maxBytes = 2 ** 30 + 1024) {
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get length(): number {
    return this.#length;
  }

  /** The first bytes; null before the header is whole. */
  get header(): Buffer | null {
    return this.#length < HEADER || this.#bytes === null ? null : this.#bytes.subarray(0, HEADER);
  }

  /** Takes what belongs to the message and says how much that was; -1: its length is impossible. */
  fill(bytes: Buffer, from: number, to: number): number {
    let at = from;
    if (this.#length < HEADER) {
      const end = Math.min(to, at + HEADER - this.#length);
      this.#append(bytes, at, end);
      at = end;
      if (this.#length < HEADER) return at - from;
    }
    const size = this.#size();
    if (size < HEADER || size > this.#maxBytes) return -1;
    const end = Math.min(to, at + size - this.#length);
    this.#append(bytes, at, end);
    return end - from;
  }

  /** The message when it is whole, and nothing is left then. */
  take(): Buffer | null {
    if (this.#length < HEADER || this.#bytes === null || this.#length < this.#size()) return null;
    const whole = this.#bytes.subarray(0, this.#length);
    this.#bytes = null;
    this.#length = 0;
    return whole;
  }

  /** What is there, whole or not, and nothing is left then. */
  drain(): Buffer {
    const part = this.#bytes?.subarray(0, this.#length) ?? Buffer.alloc(0);
    this.#bytes = null;
    this.#length = 0;
    return part;
  }

  #size(): number {
    return 1 + (this.#bytes as Buffer).readInt32BE(1);
  }

  #append(bytes: Buffer, from: number, to: number): void {
    const needed = this.#length + to - from;
    if (this.#bytes === null) this.#bytes = Buffer.allocUnsafeSlow(Math.max(64, to - from));
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, needed, Math.min(this.#bytes.length * 2, this.#maxBytes)));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.#length, from, to);
    this.#length = needed;
  }
}
