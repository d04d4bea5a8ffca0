import { readErrorFields } from '#wire/decode-backend.ts';

/**
 * The warning by which a server process says that it ends for another's sake: a crash elsewhere, or an immediate shutdown (`quickdie`,
 * src/backend/tcop/postgres.c). Returns what it says; null: it is another notice.
 */
export function readLastWords(bytes: Buffer, from: number, to: number): string | null {
  if (bytes.indexOf('Rquickdie\0', from, 'latin1') < 0) return null;
  const fields = readErrorFields(Buffer.from(bytes.subarray(from, to)));
  return fields?.get('R') === 'quickdie' ? `${fields.get('C') ?? ''} ${fields.get('M') ?? ''}`.trim() : null;
}
