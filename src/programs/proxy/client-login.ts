import { createHash, randomBytes } from 'node:crypto';
import type { RoleFacts, Roles } from '#domain/ports/roles.ts';
import { readPassword, readSaslInitial, readSaslResponse } from '#wire/decode-frontend.ts';
import {
  authenticationMd5,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '#wire/encode-backend.ts';
import { checkMd5 } from '#wire/md5.ts';
import { FRONTEND } from '#wire/message-types.ts';
import { ScramServer } from '#wire/scram-server.ts';
import { parseScramVerifier, type ScramVerifier } from '#wire/scram-verifier.ts';
import type { ClientChannel } from './client-channel.ts';
import type { Credential } from './connect-server.ts';
import type { Refusal } from './refusals.ts';

export interface LoginSettings {
  readonly roles: Roles;
  /** For the answers to users that do not exist; the same for as long as the proxy runs. */
  readonly mockSecret: Buffer;
  /** `tls-server-end-point` of our certificate; null: none to bind to. */
  readonly channelBinding: () => Buffer | null;
}

/** Somebody who may have a session. */
export interface Admitted {
  readonly facts: RoleFacts;
  /** How the proxy can act as the role; null: only as some earlier client allowed. */
  readonly credential: Credential | null;
}

/** A login that is refused, in PostgreSQL's words. */
export class LoginError extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

const SCRAM = 'SCRAM-SHA-256';
const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';

/** Finds out who is there, and whether he may come in. `database`: null for physical replication, which is in none. Rejects with `LoginError`, or because the client has gone. */
export async function authenticate(
  channel: ClientChannel,
  user: string,
  database: string | null,
  settings: LoginSettings,
): Promise<Admitted> {
  const facts = await lookup(settings, user, database, false);
  if (facts !== null && hasCertificateOf(channel, user)) {
    admit(facts, user, database);
    return { facts, credential: facts.byCertificate ? { kind: 'certificate' } : null };
  }
  const verifier = facts?.verifier ?? null;
  if (verifier?.startsWith('md5') === true && facts !== null) return md5(channel, facts, verifier, database, settings);
  return scram(channel, facts, user, database, settings);
}

async function lookup(
  { roles }: LoginSettings,
  user: string,
  database: string | null,
  fresh: boolean,
): Promise<RoleFacts | null> {
  try {
    return await roles.lookup(user, database ?? '', { fresh });
  } catch (error) {
    throw new LoginError({ code: '57P03', message: `nobody can say who may log in: ${(error as Error).message}` });
  }
}

/** One that an authority for clients has signed, with the role as its common name. */
function hasCertificateOf({ secure }: ClientChannel, user: string): boolean {
  if (secure === null || !secure.authorized) return false;
  return secure.getPeerCertificate().subject?.CN === user;
}

function wrongPassword(user: string): LoginError {
  return new LoginError({ code: '28P01', message: `password authentication failed for user "${user}"` });
}

function isExpired({ validUntilMs }: RoleFacts): boolean {
  return validUntilMs !== null && Date.now() > validUntilMs;
}

async function md5(
  channel: ClientChannel,
  facts: RoleFacts,
  verifier: string,
  database: string | null,
  settings: LoginSettings,
): Promise<Admitted> {
  const salt = randomBytes(4);
  channel.socket.write(authenticationMd5(salt));
  const answer = readPassword(await expectPassword(channel)) ?? '';
  let current: RoleFacts | null = facts;
  let hash: string | null = verifier;
  if (!checkMd5(verifier, salt, answer)) {
    // The password may have been changed a moment ago.
    current = await lookup(settings, facts.role, database, true);
    hash = current?.verifier ?? null;
    if (current === null || hash === null || !checkMd5(hash, salt, answer)) throw wrongPassword(facts.role);
  }
  if (isExpired(current)) throw wrongPassword(facts.role);
  admit(current, current.role, database);
  return { facts: current, credential: current.byCertificate ? { kind: 'certificate' } : { kind: 'md5', hash: hash ?? '' } };
}

async function scram(
  channel: ClientChannel,
  known: RoleFacts | null,
  user: string,
  database: string | null,
  settings: LoginSettings,
): Promise<Admitted> {
  const parsed = known?.verifier == null ? undefined : parseScramVerifier(known.verifier);
  const channelBinding = channel.secure === null ? null : settings.channelBinding();
  channel.socket.write(authenticationSasl(channelBinding === null ? [SCRAM] : [SCRAM_PLUS, SCRAM]));
  const initial = readSaslInitial(await expectPassword(channel));
  if (initial === undefined || initial.data === null) throw new LoginError({ code: '08P01', message: 'malformed SASL message' });
  const server = new ScramServer({
    verifier: parsed ?? null,
    mockSecret: settings.mockSecret,
    user,
    mechanism: initial.mechanism,
    channelBinding,
  });
  const first = server.first(initial.data);
  if (!first.ok) throw new LoginError(first);
  channel.socket.write(authenticationSaslContinue(first.data));
  const final = server.final(readSaslResponse(await expectPassword(channel)) ?? Buffer.alloc(0));
  if (!final.ok) {
    // What is remembered may be old: the next attempt is then checked by what is true now. The same for a role that does not exist,
    // or the time until the answer would tell.
    await lookup(settings, user, database, true).catch(() => null);
    throw new LoginError(final);
  }
  if (known === null || parsed === undefined || isExpired(known)) throw wrongPassword(user);
  admit(known, user, database);
  channel.socket.write(authenticationSaslFinal(final.data));
  return { facts: known, credential: { kind: 'clientKey', clientKey: final.clientKey, verifier: parsed } };
}

async function expectPassword(channel: ClientChannel): Promise<Buffer> {
  const message = await channel.message();
  if (message[0] === FRONTEND.password) return message;
  throw new LoginError({ code: '08P01', message: `expected password response, got message type ${message[0]}` });
}

/** What PostgreSQL checks behind the password (src/backend/utils/init/postinit.c). */
function admit(facts: RoleFacts, user: string, database: string | null): void {
  if (!facts.canLogin) throw new LoginError({ code: '28000', message: `role "${user}" is not permitted to log in` });
  if (database === null) return;
  if (facts.database === null) throw new LoginError({ code: '3D000', message: `database "${database}" does not exist` });
  if (!facts.database.allowsConnections)
    throw new LoginError({ code: '55000', message: `database "${database}" is not currently accepting connections` });
  if (!facts.database.mayConnect)
    throw new LoginError({
      code: '42501',
      message: `permission denied for database "${database}"`,
      detail: 'User does not have CONNECT privilege.',
    });
}

/** Two credentials that open the same doors. */
export function sameCredential(a: Credential | null, b: Credential | null): boolean {
  return a === b || fingerprint(a) === fingerprint(b);
}

/** It opens what this verifier guards. */
export function isOfVerifier(credential: Credential, verifier: string | null): boolean {
  if (credential.kind === 'certificate') return true;
  if (verifier === null) return false;
  if (credential.kind === 'md5') return credential.hash === verifier;
  const parsed = parseScramVerifier(verifier);
  return parsed !== undefined && verifierText(parsed).equals(verifierText(credential.verifier));
}

function fingerprint(credential: Credential | null): string {
  if (credential === null) return '';
  if (credential.kind === 'certificate') return 'certificate';
  const secret = credential.kind === 'md5' ? credential.hash : verifierText(credential.verifier);
  return `${credential.kind} ${createHash('sha256').update(secret).digest('hex')}`;
}

function verifierText({ iterations, salt, storedKey, serverKey }: ScramVerifier): Buffer {
  return Buffer.concat([Buffer.from(`${iterations} `), salt, storedKey, serverKey]);
}
