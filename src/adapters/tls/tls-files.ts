import { chown, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '#domain/errors.ts';
import { toDiskError } from '../files/disk-errors.ts';
import { writeAtomically } from '../files/write-atomically.ts';
import type { Authority, CertificateWithKey } from './authority.ts';

/** What a member needs for TLS, read into memory. */
export interface TlsIdentity {
  /** The certificate of the cluster's authority, PEM; of two while one replaces the other. */
  readonly ca: string;
  readonly certificate: string;
  /** Secret. */
  readonly key: string;
  /** The certificate of the authority that the proxies' logins at the servers are by, PEM. Trusted by PostgreSQL, and by nothing else. */
  readonly proxyCa?: string;
}

/** Where they are; PostgreSQL reads the same files. */
export interface TlsPaths {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Beside them, where the cluster has an authority of its proxies. */
export function proxyCaPath(folder: string): string {
  return join(folder, 'proxy-ca.crt');
}

export type FileOwner = { readonly uid: number; readonly gid: number };

export function tlsPaths(folder: string): TlsPaths {
  return { ca: join(folder, 'ca.crt'), certificate: join(folder, 'member.crt'), key: join(folder, 'member.key') };
}

/**
 * Writes a member's TLS files into `folder` (made with mode 0700). `owner`: the user of the PostgreSQL server, which insists
 * that its key be its own (manual, section 19.9.4). Key last: whoever sees a new key sees its certificate.
 */
export async function writeTlsFiles(
  folder: string,
  authority: Pick<Authority, 'certificate'>,
  issued: CertificateWithKey,
  owner?: FileOwner,
): Promise<void> {
  const paths = tlsPaths(folder);
  await makeFolder(folder, owner);
  const options = owner === undefined ? {} : { owner };
  await writeAtomically(paths.ca, authority.certificate, options);
  await writeAtomically(paths.certificate, issued.certificate, options);
  await writeAtomically(paths.key, issued.key, options);
}

/** Errors: `tls.invalid` names the first file that is missing or cannot be read. */
export async function readTlsFiles(folder: string): Promise<TlsIdentity> {
  const paths = tlsPaths(folder);
  // One after the other: of several that are missing, the same one is named each time.
  const identity = { ca: await read(paths.ca), certificate: await read(paths.certificate), key: await read(paths.key) };
  const proxyCa = await readFile(proxyCaPath(folder), 'utf8').catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? undefined : fail('tls.invalid', `${proxyCaPath(folder)}: ${error.message}`, error),
  );
  return proxyCa === undefined ? identity : { ...identity, proxyCa };
}

/** The authority itself, which only the one who makes certificates needs: `ca.crt` and `ca.key` in `folder`. */
export async function writeAuthority(folder: string, authority: Authority): Promise<void> {
  await makeFolder(folder);
  await writeAtomically(join(folder, 'ca.crt'), authority.certificate);
  await writeAtomically(join(folder, 'ca.key'), authority.key);
}

/** Errors: `tls.invalid`. */
export async function readAuthority(folder: string): Promise<Authority> {
  return { certificate: await read(join(folder, 'ca.crt')), key: await read(join(folder, 'ca.key')) };
}

async function makeFolder(folder: string, owner?: FileOwner): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  } catch (error) {
    throw toDiskError(error, folder);
  }
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return fail('tls.invalid', `${path}: ${(error as Error).message}`, error);
  }
}
