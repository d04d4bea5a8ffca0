import { createHash, timingSafeEqual } from 'node:crypto';

function md5Hex(...parts: readonly (string | Buffer)[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** What `pg_authid.rolpassword` holds with `password_encryption = md5`. It equals the password: whoever has it can log in. */
export function md5Hash(password: string, user: string): string {
  return `md5${md5Hex(password, user)}`;
}

/** The text of the PasswordMessage. `hash`: `md5…`; `salt`: 4 bytes. */
export function md5Answer(hash: string, salt: Buffer): string {
  return `md5${md5Hex(hash.slice(3), salt)}`;
}

/** In a time that does not depend on what differs. False for a verifier of another kind. */
export function checkMd5(verifier: string, salt: Buffer, answer: string): boolean {
  const given = Buffer.from(answer);
  const expected = Buffer.from(md5Answer(verifier, salt));
  return /^md5[0-9a-f]{32}$/.test(verifier) && given.length === expected.length && timingSafeEqual(given, expected);
}
