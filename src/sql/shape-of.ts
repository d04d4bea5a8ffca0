import { HASH_SEED } from './vocabulary.ts';

const QUOTE = 0x27;
const ZERO = 0x30;
const NINE = 0x39;
const DIGIT = 0x23;

/**
 * A number for all texts that differ in numbers and literals only, such as the runs of one statement of an application. Never 0. Two
 * statements may have one by chance, and one statement several: what is known by it are estimates.
 */
export function shapeOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = HASH_SEED;
  let at = start;
  while (at < end) {
    let byte = bytes[at++] as number;
    if (byte >= ZERO && byte <= NINE) {
      while (at < end && (bytes[at] as number) >= ZERO && (bytes[at] as number) <= NINE) at++;
      byte = DIGIT;
    } else if (byte === QUOTE) {
      while (at < end && bytes[at] !== QUOTE) at++;
      at++;
    }
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash === 0 ? 1 : hash;
}
