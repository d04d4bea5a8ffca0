import { NAME_BYTES } from './lexer.ts';

const DOUBLE_QUOTE = 0x22;

/** The name that the bytes of an identifier spell, as the server stores it: folded (ASCII only) or unquoted, and cut. */
export function readIdentifier(bytes: Uint8Array, start: number, end: number): string {
  const raw = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const text =
    bytes[start] === DOUBLE_QUOTE
      ? raw.toString('utf8', 1, Math.max(1, raw.length - 1)).replaceAll('""', '"')
      : raw.toString('utf8').replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return cutName(text);
}

/** As NAMEDATALEN does: at a whole character. */
function cutName(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= NAME_BYTES) return name;
  let end = NAME_BYTES;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
