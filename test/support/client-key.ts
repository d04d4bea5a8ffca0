import { pbkdf2Sync } from 'node:crypto';
import { saslprep } from '#wire/saslprep.ts';
import type { ScramSecret } from '#wire/scram-client.ts';
import { hmac, KEY_BYTES } from '#wire/scram-keys.ts';
import { parseScramVerifier } from '#wire/scram-verifier.ts';
import type { Login, PlainServer } from './plain-server.ts';

/** Hashed once, so that thousands of logins cost what they cost the other side. */
export async function clientKeyOf(server: PlainServer, { user, password }: Login): Promise<ScramSecret> {
  const [row] = await server.sql(`SELECT rolpassword FROM pg_authid WHERE rolname = '${user}'`);
  const verifier = parseScramVerifier(String(row?.rolpassword));
  if (verifier === undefined) throw new Error(`${user} has no SCRAM verifier`);
  const salted = pbkdf2Sync(await saslprep(password), verifier.salt, verifier.iterations, KEY_BYTES, 'sha256');
  return { kind: 'clientKey', clientKey: hmac(salted, 'Client Key'), verifier };
}
