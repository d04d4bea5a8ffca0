/** A bound on what many may keep together. */
class MemoryBudget {
  readonly #limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** So much more, or less, is kept. False: that is too much in all; it is counted nevertheless, until it is given back. */
  add(bytes: number): boolean {
    this.#usedBytes += bytes;
    return bytes <= 0 || this.#usedBytes <= this.#limitBytes;
  }
}

/** What clients have sent and servers have not got yet: messages that are not whole, that wait, or that a server is slow to read. */
export const unsentMessages = new MemoryBudget(256 * 2 ** 20);
