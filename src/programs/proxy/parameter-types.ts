const FIRST_USER_OID = 16384;

/**
 * Whether the rest of a Parse message, behind its text, is as it must be and declares types of the server alone: reading a value of
 * another one may run code of the database, such as the check of a domain.
 */
export function isOfBuiltinTypes(bytes: Buffer, from: number, to: number): boolean {
  if (to - from < 2) return false;
  const count = bytes.readUInt16BE(from);
  if (to - from !== 2 + 4 * count) return false;
  for (let at = from + 2; at < to; at += 4) if (bytes.readUInt32BE(at) >= FIRST_USER_OID) return false;
  return true;
}
