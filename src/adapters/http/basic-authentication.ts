import { createHash, timingSafeEqual } from 'node:crypto';

export interface Login {
  readonly username: string;
  /** Secret. */
  readonly password: string;
}

const digest = (text: string) => createHash('sha256').update(text, 'utf8').digest();

/**
 * Is this the `Authorization` header of that login (RFC 7617)? Takes as long for a wrong password as for the right one, whatever part
 * of it is right.
 */
export function provesLogin(header: string | undefined, { username, password }: Login): boolean {
  const match = /^basic +([A-Za-z0-9+/=]+)$/i.exec(header ?? '');
  const given = Buffer.from(match?.[1] ?? '', 'base64').toString('utf8');
  return timingSafeEqual(digest(given), digest(`${username}:${password}`)) && match !== null;
}
