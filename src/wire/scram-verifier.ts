import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { saslprep } from './saslprep.ts';
import { hash, hmac, KEY_BYTES } from './scram-keys.ts';

/** PostgreSQL's default of `scram_iterations` (manual, section 20.3.2). */
export const DEFAULT_ITERATIONS = 4096;

/** What a server knows of a password: enough to check it, and to show that it is the server; not to log in elsewhere. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Of `pg_authid.rolpassword` (RFC 5803); undefined for any other text. */
export function parseScramVerifier(text: string): ScramVerifier | undefined {
  const [, count, saltText, storedText, serverText] =
    /^SCRAM-SHA-256\$(\d{1,10}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/.exec(text) ?? [];
  const iterations = Number(count);
  const salt = decodeBase64(saltText ?? '');
  const storedKey = decodeBase64(storedText ?? '');
  const serverKey = decodeBase64(serverText ?? '');
  if (salt === undefined || storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  return iterations >= 1 && iterations <= 2_147_483_647 ? { iterations, salt, storedKey, serverKey } : undefined;
}

/**
 * What `CREATE ROLE … PASSWORD` stores for SCRAM-SHA-256. Computed here, so that no password is ever part of a statement that a
 * server might log. Takes milliseconds, and blocks. TypeError unless the password is printable ASCII, which SASLprep leaves as it is.
 */
export function buildScramVerifier(password: string, salt?: Buffer, iterations?: number): string {
  if (!/^[\x20-\x7e]+$/.test(password)) throw new TypeError('the password is not printable ASCII');
  return verifierOfPrepared(password, salt, iterations);
}

/** The same of any password that PostgreSQL accepts. */
export async function buildAnyScramVerifier(password: string, salt?: Buffer, iterations?: number): Promise<string> {
  return verifierOfPrepared(await saslprep(password), salt, iterations);
}

function verifierOfPrepared(prepared: string, salt: Buffer = randomBytes(16), iterations: number = DEFAULT_ITERATIONS): string {
  const salted = pbkdf2Sync(prepared, salt, iterations, KEY_BYTES, 'sha256');
  const stored = hash(hmac(salted, 'Client Key')).toString('base64');
  const server = hmac(salted, 'Server Key').toString('base64');
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${stored}:${server}`;
}
