import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '#domain/errors.ts';
import { toDiskError } from '../files/disk-errors.ts';
import { writeAtomically } from '../files/write-atomically.ts';
import type { CertificateWithKey } from './authority.ts';
import type { TlsIdentity } from './tls-files.ts';

/** What a proxy lives by, read into memory. */
export interface ProxyIdentity {
  /** For the links to the agents. Its `ca` is what the servers are checked by, too. */
  readonly agents: TlsIdentity;
  /** For logins at the servers, by the authority of the proxies. */
  readonly servers: CertificateWithKey;
}

/** Where it lies. `proxy.*` is by the cluster's authority, `server.*` by that of the proxies. */
export function proxyTlsPaths(folder: string) {
  return {
    ca: join(folder, 'ca.crt'),
    certificate: join(folder, 'proxy.crt'),
    key: join(folder, 'proxy.key'),
    serverCertificate: join(folder, 'server.crt'),
    serverKey: join(folder, 'server.key'),
  } as const;
}

/** All of it is there. */
export function hasProxyTls(folder: string): boolean {
  return Object.values(proxyTlsPaths(folder)).every((path) => existsSync(path));
}

/** Mode 0600, in a folder of mode 0700. Errors: `disk.…`. */
export async function writeProxyTls(folder: string, { agents, servers }: ProxyIdentity): Promise<void> {
  const paths = proxyTlsPaths(folder);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw toDiskError(error, folder);
  }
  await writeAtomically(paths.ca, agents.ca);
  await writeAtomically(paths.certificate, agents.certificate);
  await writeAtomically(paths.key, agents.key);
  await writeAtomically(paths.serverCertificate, servers.certificate);
  await writeAtomically(paths.serverKey, servers.key);
}

/** Errors: `tls.invalid` names the first file that is missing or cannot be read. */
export async function readProxyTls(folder: string): Promise<ProxyIdentity> {
  const paths = proxyTlsPaths(folder);
  return {
    agents: { ca: await read(paths.ca), certificate: await read(paths.certificate), key: await read(paths.key) },
    servers: { certificate: await read(paths.serverCertificate), key: await read(paths.serverKey) },
  };
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return fail('tls.invalid', `${path}: ${(error as Error).message}`, error);
  }
}
