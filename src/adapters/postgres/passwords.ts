import { buildAnyScramVerifier, parseScramVerifier } from '#wire/scram-verifier.ts';
import type { Login } from './postgres-options.ts';
import type { Session } from './session.ts';

const TIMEOUT_MS = 2000;

/**
 * Gives the roles the passwords that they are to have. Writes nothing where they have them; a role that is not there is left alone.
 * Returns the names of those that were changed. Rejects when the server does not answer within 2 s a statement, or is a standby.
 */
export async function putPasswords(session: Session, logins: readonly Login[]): Promise<readonly string[]> {
  const names = logins.map(({ name }) => name);
  const found = await session.query<{ name: string; verifier: string | null }>(
    'SELECT rolname::text AS name, rolpassword AS verifier FROM pg_authid WHERE rolname::text = ANY($1)',
    [names],
    { timeoutMs: TIMEOUT_MS },
  );
  const changed: string[] = [];
  for (const { name, password } of logins) {
    const row = found.find((one) => one.name === name);
    if (row === undefined || (await isOf(row.verifier, password))) continue;
    // The verifier, not the password: statements may be logged.
    const verifier = await buildAnyScramVerifier(password);
    await session.query(`ALTER ROLE "${name.replaceAll('"', '""')}" PASSWORD '${verifier}'`, [], { timeoutMs: TIMEOUT_MS });
    changed.push(name);
  }
  return changed;
}

async function isOf(text: string | null, password: string): Promise<boolean> {
  const verifier = parseScramVerifier(text ?? '');
  if (verifier === undefined) return false;
  return (await buildAnyScramVerifier(password, verifier.salt, verifier.iterations)) === text;
}
