import type { FOLD } from './byte-class.ts';

/** What a word of a text stands for. */
export interface Word {
  /** Its number among the keywords; 0: none. */
  readonly keyword: number;
  /** What it says wherever it stands as a keyword. */
  readonly keywordEffects: number;
  /** What the object of this name does when it is used. */
  readonly effects: number;
  /** What it does besides when the text writes. */
  readonly writeEffects: number;
}

export const HASH_SEED = 0x811c9dc5 | 0;

/** One step of the hash over the bytes of a name. */
function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Names that mean something, found by the bytes of a text without making a string of each of its words. */
export class Vocabulary {
  /** By the number of a word; 0 is no word. */
  readonly keywords: Uint8Array;
  readonly keywordEffects: Int32Array;
  readonly effects: Int32Array;
  readonly writeEffects: Int32Array;
  readonly names: readonly string[];
  readonly #slots: Int32Array;
  readonly #hashes: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #starts: Int32Array;
  readonly #mask: number;

  constructor(words: ReadonlyMap<string, Word>) {
    const count = words.size + 1;
    this.#mask = 2 ** Math.ceil(Math.log2(count * 4)) - 1;
    this.#slots = new Int32Array(this.#mask + 1);
    this.#hashes = new Int32Array(count);
    this.#starts = new Int32Array(count + 1);
    this.keywords = new Uint8Array(count);
    this.keywordEffects = new Int32Array(count);
    this.effects = new Int32Array(count);
    this.writeEffects = new Int32Array(count);
    const names = ['', ...words.keys()];
    this.names = names;
    const encoded = names.map((name) => Buffer.from(name));
    this.#bytes = new Uint8Array(Buffer.concat(encoded));
    let start = 0;
    for (let index = 1; index < count; index++) {
      const name = encoded[index] as Buffer;
      const word = words.get(names[index] as string) as Word;
      this.#starts[index] = start;
      start += name.length;
      this.#starts[index + 1] = start;
      this.keywords[index] = word.keyword;
      this.keywordEffects[index] = word.keywordEffects;
      this.effects[index] = word.effects;
      this.writeEffects[index] = word.writeEffects;
      this.#put(index, name.reduce(hashStep, HASH_SEED));
    }
  }

  /** The number of the word in these bytes, 0 for none. `hash` is that of the bytes as `fold` changes them. */
  find(bytes: Uint8Array, start: number, end: number, hash: number, fold: typeof FOLD): number {
    let slot = this.#first(hash);
    for (;;) {
      const index = this.#slots[slot] as number;
      if (index === 0) return 0;
      if (this.#hashes[index] === hash && this.#equals(index, bytes, start, end, fold)) return index;
      slot = (slot + 1) & this.#mask;
    }
  }

  #equals(index: number, bytes: Uint8Array, start: number, end: number, fold: typeof FOLD): boolean {
    const offset = this.#starts[index] as number;
    const length = end - start;
    if ((this.#starts[index + 1] as number) - offset !== length) return false;
    for (let i = 0; i < length; i++) {
      if (this.#bytes[offset + i] !== fold[bytes[start + i] as number]) return false;
    }
    return true;
  }

  #first(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  #put(index: number, hash: number): void {
    this.#hashes[index] = hash;
    let slot = this.#first(hash);
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = index;
  }
}
