import { malformed } from './scram-refusal.ts';

/** The attributes of a client's SCRAM message (RFC 5802, section 7), one character a byte. Throws ScramError as PostgreSQL does. */
export class ScramReader {
  readonly text: string;
  #at = 0;

  constructor(message: Buffer) {
    if (message.length === 0) throw malformed('The message is empty.');
    if (message.includes(0)) throw malformed('Message length does not match input length.');
    this.text = message.toString('latin1');
  }

  get at(): number {
    return this.#at;
  }

  get ended(): boolean {
    return this.#at >= this.text.length;
  }

  /** The next character, which stays; empty at the end. */
  peek(): string {
    return this.text.charAt(this.#at);
  }

  skip(): void {
    this.#at += 1;
  }

  comma(): void {
    if (this.peek() !== ',') throw malformed(`Comma expected, but found character "${printable(this.peek())}".`);
    this.skip();
  }

  /** The value of `name`, up to the comma, which is passed over. */
  attribute(name: string): string {
    if (this.peek() !== name) throw malformed(`Expected attribute "${name}" but found "${printable(this.peek())}".`);
    return this.#value(name);
  }

  anyAttribute(): { readonly name: string; readonly value: string } {
    const name = this.peek();
    if (name === '') throw malformed('Attribute expected, but found end of string.');
    if (!/[A-Za-z]/.test(name)) throw malformed(`Attribute expected, but found invalid character "${printable(name)}".`);
    return { name, value: this.#value(name) };
  }

  #value(name: string): string {
    this.skip();
    if (this.peek() !== '=') throw malformed(`Expected character "=" for attribute "${name}".`);
    const start = this.#at + 1;
    const comma = this.text.indexOf(',', start);
    const end = comma < 0 ? this.text.length : comma;
    this.#at = end + 1;
    return this.text.slice(start, end);
  }
}

/** PostgreSQL's sanitize_char: with its quotes. */
export function printable(character: string): string {
  if (/^[\x21-\x7e]$/.test(character)) return `'${character}'`;
  return `0x${(character.charCodeAt(0) || 0).toString(16).padStart(2, '0')}`;
}
