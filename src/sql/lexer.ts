import { BYTE, BYTE_CLASS, FOLD, IN_WORD, KEEP } from './byte-class.ts';
import { HASH_SEED, type Vocabulary } from './vocabulary.ts';

export const END = 0;
/** An unquoted identifier or keyword. */
export const WORD = 1;
/** A quoted identifier. */
export const QUOTED = 2;
/** A plain literal: '...'. */
export const STRING = 3;
/** Any other literal: E'', dollar quotes, numbers, parameters. */
const LITERAL = 4;
export const OPERATOR = 5;
export const OPEN = 6;
export const CLOSE = 7;
export const SEMICOLON = 8;
export const COMMA = 9;
export const DOT = 10;
export const OTHER = 11;

/** Longer names are cut by the server (NAMEDATALEN - 1). */
export const NAME_BYTES = 63;

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DOLLAR = 0x24;
const MINUS = 0x2d;
const PLUS = 0x2b;
const SLASH = 0x2f;
const STAR = 0x2a;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const LOWER_E = 0x65;
const LOWER_U = 0x75;
const AMPERSAND = 0x26;

/**
 * The tokens of a text as `scan.l` of PostgreSQL sees them, over its bytes. Never throws, never reads outside [start, end), and goes over
 * every byte a bounded number of times. What can be read in two ways sets `ambiguous`: a plain literal in which a quote follows a
 * backslash (`standard_conforming_strings`), and a backslash behind a byte that may be the first half of a character (client encodings
 * such as SJIS).
 */
export class Lexer {
  bytes: Uint8Array = new Uint8Array(0);
  end = 0;
  /** Of the present token. For literals and quoted identifiers it includes the quotes. */
  tokenStart = 0;
  tokenEnd = 0;
  kind: number = END;
  /** The number of the word in the vocabulary; 0 for none. For words, quoted identifiers and operators. */
  word = 0;
  /** A word or quoted identifier outside ASCII, whose case and encoding only the server knows. */
  foreign = false;
  ambiguous = false;
  #vocabulary: Vocabulary;
  #operators = false;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  open(bytes: Uint8Array, start: number, end: number, vocabulary: Vocabulary, operators: boolean): void {
    this.bytes = bytes;
    this.end = Math.min(end, bytes.length);
    this.tokenEnd = Math.max(0, start);
    this.tokenStart = this.tokenEnd;
    this.kind = END;
    this.word = 0;
    this.foreign = false;
    this.ambiguous = false;
    this.#vocabulary = vocabulary;
    this.#operators = operators;
  }

  next(): number {
    const { bytes, end } = this;
    let at = this.tokenEnd;
    this.word = 0;
    while (at < end) {
      const byte = bytes[at] as number;
      const kind = BYTE_CLASS[byte] as number;
      if (kind === BYTE.letter) return this.#readWord(at);
      if (kind === BYTE.space) at++;
      else if (kind === BYTE.operator) {
        const skipped = this.#skipComment(at, byte);
        if (skipped === at) return this.#operator(at);
        at = skipped;
      } else return this.#readOther(at, kind);
    }
    return this.#give(END, end, end);
  }

  #readOther(at: number, kind: number): number {
    switch (kind) {
      case BYTE.open:
        return this.#give(OPEN, at, at + 1);
      case BYTE.close:
        return this.#give(CLOSE, at, at + 1);
      case BYTE.comma:
        return this.#give(COMMA, at, at + 1);
      case BYTE.dot:
        return this.#give(DOT, at, at + 1);
      case BYTE.semicolon:
        return this.#give(SEMICOLON, at, at + 1);
      case BYTE.digit:
        return this.#give(LITERAL, at, this.#skipDigits(at));
      case BYTE.quote:
        return this.#give(STRING, at, this.#skipPlain(at));
      case BYTE.doubleQuote:
        return this.#readQuoted(at);
      case BYTE.dollar:
        return this.#dollar(at);
      case BYTE.backslash:
        this.ambiguous = true;
        return this.#give(OTHER, at, at + 1);
      default:
        return this.#give(OTHER, at, at + 1);
    }
  }

  #give(kind: number, start: number, end: number): number {
    this.tokenStart = start;
    this.tokenEnd = end;
    this.kind = kind;
    return kind;
  }

  #readWord(start: number): number {
    const { bytes, end } = this;
    let hash = HASH_SEED;
    let all = 0;
    let at = start;
    while (at < end) {
      const byte = bytes[at] as number;
      if (IN_WORD[byte] === 0) break;
      all |= byte;
      hash = Math.imul(hash ^ (FOLD[byte] as number), 0x01000193);
      at++;
    }
    if (at === start + 1 && at < end && bytes[at] === QUOTE && FOLD[bytes[start] as number] === LOWER_E) {
      return this.#give(LITERAL, start, this.#skipEscaped(at));
    }
    this.foreign = all >= 0x80;
    this.word = at - start > NAME_BYTES ? this.#findCut(start, FOLD) : this.#vocabulary.find(bytes, start, at, hash, FOLD);
    return this.#give(WORD, start, at);
  }

  #findCut(start: number, fold: typeof FOLD): number {
    return this.#find(start, start + NAME_BYTES, fold);
  }

  #find(start: number, end: number, fold: typeof FOLD): number {
    let hash = HASH_SEED;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ (fold[this.bytes[at] as number] as number), 0x01000193);
    return this.#vocabulary.find(this.bytes, start, end, hash, fold);
  }

  #readQuoted(start: number): number {
    const { bytes, end } = this;
    let at = start + 1;
    let all = 0;
    let doubled = false;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      if (byte === DOUBLE_QUOTE) {
        if (bytes[at + 1] !== DOUBLE_QUOTE || at + 1 >= end) break;
        doubled = true;
        at++;
      }
      all |= byte;
    }
    // The escapes of U&"..." spell names that only the server reads.
    if (start >= 2 && bytes[start - 1] === AMPERSAND && FOLD[bytes[start - 2] as number] === LOWER_U) this.ambiguous = true;
    this.foreign = all >= 0x80;
    // No object that matters has a quote in its name; should one have it, this name is taken for all of them.
    if (doubled) this.foreign = true;
    this.word = this.#find(start + 1, Math.min(at, start + 1 + NAME_BYTES), KEEP);
    return this.#give(QUOTED, start, Math.min(at + 1, end));
  }

  /** Behind the comment that begins here, or `at` itself. */
  #skipComment(at: number, byte: number): number {
    if (at + 1 >= this.end) return at;
    const next = this.bytes[at + 1];
    if (byte === MINUS && next === MINUS) return this.#skipLine(at + 2);
    if (byte === SLASH && next === STAR) return this.#skipNested(at + 2);
    return at;
  }

  #skipLine(from: number): number {
    let at = from;
    while (at < this.end && this.bytes[at] !== NEWLINE && this.bytes[at] !== RETURN) at++;
    return at;
  }

  #skipNested(from: number): number {
    const { bytes, end } = this;
    let depth = 1;
    let at = from;
    while (at < end && depth > 0) {
      const byte = bytes[at];
      const next = at + 1 < end ? bytes[at + 1] : 0;
      if (byte === SLASH && next === STAR) {
        depth++;
        at += 2;
      } else if (byte === STAR && next === SLASH) {
        depth--;
        at += 2;
      } else at++;
    }
    return at;
  }

  #operator(start: number): number {
    const { bytes, end } = this;
    let at = start + 1;
    while (at < end) {
      const byte = bytes[at] as number;
      if (BYTE_CLASS[byte] !== BYTE.operator) break;
      if (this.#beginsComment(at, byte)) break;
      at++;
    }
    if (this.#operators) this.word = this.#findOperator(start, at);
    return this.#give(OPERATOR, start, at);
  }

  #beginsComment(at: number, byte: number): boolean {
    const next = at + 1 < this.end ? this.bytes[at + 1] : 0;
    return (byte === MINUS && next === MINUS) || (byte === SLASH && next === STAR);
  }

  /** A sign behind an operator usually belongs to what follows; which of the two only matters when one of them is known. */
  #findOperator(start: number, from: number): number {
    let end = Math.min(from, start + NAME_BYTES);
    for (;;) {
      const word = this.#find(start, end, KEEP);
      const last = this.bytes[end - 1];
      if (word !== 0 || end - start < 2 || (last !== PLUS && last !== MINUS)) return word;
      end--;
    }
  }

  #skipDigits(from: number): number {
    let at = from + 1;
    while (at < this.end && BYTE_CLASS[this.bytes[at] as number] === BYTE.digit) at++;
    return at;
  }

  #skipPlain(start: number): number {
    const { bytes, end } = this;
    let backslashes = 0;
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        if (backslashes % 2 === 1) this.ambiguous = true;
        backslashes = 0;
        if (at + 1 >= end || bytes[at + 1] !== QUOTE) return at + 1;
        at++;
      } else if (byte === BACKSLASH) {
        if (backslashes === 0 && (bytes[at - 1] as number) >= 0x80) this.ambiguous = true;
        backslashes++;
      } else backslashes = 0;
    }
    return end;
  }

  #skipEscaped(start: number): number {
    const { bytes, end } = this;
    for (let at = start + 1; at < end; at++) {
      const byte = bytes[at];
      if (byte === BACKSLASH) {
        if ((bytes[at - 1] as number) >= 0x80) this.ambiguous = true;
        at++;
      } else if (byte === QUOTE) {
        if (at + 1 >= end || bytes[at + 1] !== QUOTE) return at + 1;
        at++;
      }
    }
    return end;
  }

  #dollar(start: number): number {
    const { bytes, end } = this;
    let at = start + 1;
    if (at < end && BYTE_CLASS[bytes[at] as number] === BYTE.digit) return this.#give(LITERAL, start, this.#skipDigits(at));
    let all = 0;
    while (at < end && bytes[at] !== DOLLAR && IN_WORD[bytes[at] as number] === 1) {
      all |= bytes[at] as number;
      at++;
    }
    if (at >= end || bytes[at] !== DOLLAR) {
      if (all >= 0x80) this.ambiguous = true;
      return this.#give(OTHER, start, start + 1);
    }
    return this.#give(LITERAL, start, this.#skipDollars(start, at + 1));
  }

  /** Behind the text that [start, body) opens: the tag with its dollars ends it. */
  #skipDollars(start: number, body: number): number {
    const { bytes, end } = this;
    const length = body - start;
    const last = Math.min(end, bytes.length) - length;
    for (let at = body; at <= last; at++) {
      if (bytes[at] !== DOLLAR) continue;
      let same = 1;
      while (same < length && bytes[at + same] === bytes[start + same]) same++;
      if (same === length) return at + length;
      // A dollar is in no tag, so the next candidate is not before the byte that differed.
      at += same - 1;
    }
    return end;
  }
}
