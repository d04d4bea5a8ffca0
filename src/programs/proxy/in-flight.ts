/** What a client has sent and its server has not yet answered, as the client sent it: to be sent again when the server is lost. */
export class InFlight {
  readonly #limitBytes: number;
  #bytes: Buffer | null = null;
  #length = 0;
  #overflowed = false;
  /** What was dropped since it was empty. */
  #dropped = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Everything that is in flight is here. */
  get isWhole(): boolean {
    return this.#length > 0 && !this.#overflowed;
  }

  /** Where the next message will begin, for `drop`. */
  get end(): number {
    return this.#dropped + this.#length;
  }

  /** What was kept before `end` was there has been answered. */
  drop(end: number): void {
    const answered = end - this.#dropped;
    if (this.#overflowed || answered <= 0) return;
    this.#bytes?.copyWithin(0, answered, this.#length);
    this.#length -= answered;
    this.#dropped = end;
  }

  keep(bytes: Buffer, from: number, to: number): void {
    if (this.#overflowed) return;
    const length = this.#length + to - from;
    if (length > this.#limitBytes) {
      this.#overflowed = true;
      return;
    }
    if (this.#bytes === null || length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limitBytes, Math.max(512, length * 2)));
      this.#bytes?.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    bytes.copy(this.#bytes, this.#length, from, to);
    this.#length = length;
  }

  /** Not whole any more, whatever comes. */
  spoil(): void {
    this.#overflowed = true;
  }

  take(): Buffer {
    const taken = Buffer.from(this.#bytes?.subarray(0, this.#length) ?? Buffer.alloc(0));
    this.clear();
    return taken;
  }

  clear(): void {
    this.#length = 0;
    this.#dropped = 0;
    this.#overflowed = false;
  }
}
