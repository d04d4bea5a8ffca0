import type { StatementFacts } from './read-statement.ts';

/**
 * One SELECT or VALUES without a lock clause that does nothing but read, with functions and operators of `pg_catalog` alone that are not
 * volatile: other clients' statements may stand before and behind it on one connection. In doubt it is none.
 */
export function isPlainRead({ effects, statements, command }: StatementFacts): boolean {
  return effects === 0 && statements === 1 && (command === 'select' || command === 'values');
}

/** Whether a text with this first byte may be one: a look before the text is read. */
export function mayBeginRead(byte: number | undefined): boolean {
  return byte !== undefined && BEGINS[byte] === 1;
}

/** Of SELECT and VALUES in either case; what begins with a space, a comment or a parenthesis is rare. */
const BEGINS = new Uint8Array(256);
for (const letter of 'sSvV') BEGINS[letter.charCodeAt(0)] = 1;
