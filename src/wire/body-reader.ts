import { readText } from './read-text.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Reads the body of one whole message. A read beyond its end gives 0 or nothing and makes the message malformed for good, so that a
 * decoder asks once, at the end.
 */
export class BodyReader {
  readonly #message: Buffer;
  #at = 5;
  #malformed: boolean;

  /** Of `type`, or of `otherType`. */
  constructor(message: Buffer, type: number, otherType = type) {
    this.#message = message;
    const wellFramed = message.length >= 5 && message.readUInt32BE(1) === message.length - 1;
    this.#malformed = !wellFramed || (message[0] !== type && message[0] !== otherType);
  }

  get malformed(): boolean {
    return this.#malformed;
  }

  /** Bytes that are left. */
  get left(): number {
    return this.#malformed ? 0 : this.#message.length - this.#at;
  }

  /** Well-formed, and nothing is left. */
  get ended(): boolean {
    return !this.#malformed && this.#at === this.#message.length;
  }

  fail(): void {
    this.#malformed = true;
  }

  byte(): number {
    return this.#has(1) ? (this.#message[this.#at++] ?? 0) : 0;
  }

  uint16(): number {
    if (!this.#has(2)) return 0;
    this.#at += 2;
    return this.#message.readUInt16BE(this.#at - 2);
  }

  int32(): number {
    if (!this.#has(4)) return 0;
    this.#at += 4;
    return this.#message.readInt32BE(this.#at - 4);
  }

  uint32(): number {
    return this.int32() >>> 0;
  }

  /** A view, not a copy. */
  bytes(count: number): Buffer {
    if (count < 0 || !this.#has(count)) {
      this.fail();
      return NOTHING;
    }
    this.#at += count;
    return this.#message.subarray(this.#at - count, this.#at);
  }

  rest(): Buffer {
    return this.bytes(this.left);
  }

  cString(): string {
    if (this.#malformed) return '';
    const start = this.#at;
    const end = this.#message.indexOf(0, start);
    if (end < 0) {
      this.fail();
      return '';
    }
    this.#at = end + 1;
    return readText(this.#message, start, end);
  }

  /** A value with its length in front; -1: null. */
  value(): Buffer | null {
    const length = this.int32();
    return length === -1 ? null : this.bytes(length);
  }

  #has(count: number): boolean {
    if (this.#malformed || this.#message.length - this.#at < count) this.#malformed = true;
    return !this.#malformed;
  }
}
