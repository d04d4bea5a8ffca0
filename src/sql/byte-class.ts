/** What a byte can begin in a SQL text, by `scan.l` of PostgreSQL. */
export const BYTE = {
  other: 0,
  space: 1,
  letter: 2,
  digit: 3,
  operator: 4,
  quote: 5,
  doubleQuote: 6,
  dollar: 7,
  open: 8,
  close: 9,
  semicolon: 10,
  comma: 11,
  dot: 12,
  backslash: 13,
} as const;

export const BYTE_CLASS = new Uint8Array(256);
/** 1 for what may follow within an identifier. */
export const IN_WORD = new Uint8Array(256);
/** Folds A to Z as PostgreSQL does in encodings of several bytes. */
export const FOLD = new Uint8Array(256);
/** For quoted identifiers, which are not folded. */
export const KEEP = new Uint8Array(256);

function classify(characters: string, kind: number): void {
  for (const character of characters) BYTE_CLASS[character.charCodeAt(0)] = kind;
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
classify(' \t\n\r\f\v\0', BYTE.space);
classify(`${LETTERS}${LETTERS.toUpperCase()}_`, BYTE.letter);
BYTE_CLASS.fill(BYTE.letter, 0x80);
classify('0123456789', BYTE.digit);
classify('~!@#^&|`?+-*/%<>=', BYTE.operator);
classify("'", BYTE.quote);
classify('"', BYTE.doubleQuote);
classify('$', BYTE.dollar);
classify('(', BYTE.open);
classify(')', BYTE.close);
classify(';', BYTE.semicolon);
classify(',', BYTE.comma);
classify('.', BYTE.dot);
classify('\\', BYTE.backslash);
for (let byte = 0; byte < 256; byte++) {
  const kind = BYTE_CLASS[byte];
  IN_WORD[byte] = kind === BYTE.letter || kind === BYTE.digit || kind === BYTE.dollar ? 1 : 0;
  FOLD[byte] = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
  KEEP[byte] = byte;
}
