/** A byte position in the write-ahead log; PostgreSQL's pg_lsn, 0 to 2^64 - 1 (manual, section 8.20). */
export type Lsn = bigint;

const TEXT = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Reads PostgreSQL's text form, for example `0/3000060`. Returns undefined for anything else. */
export function parseLsn(text: string): Lsn | undefined {
  const match = TEXT.exec(text);
  if (match === null) return undefined;
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Writes PostgreSQL's text form. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}
