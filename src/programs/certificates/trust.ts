import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { type Authority, createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { readAuthority, tlsPaths, writeAuthority, writeTlsFiles } from '#adapters/tls/tls-files.ts';
import { STAGES, type Stage } from '#core/cluster/authority-rotation.ts';
import { fail } from '#domain/errors.ts';
import { keepProxies } from './proxy-trust.ts';
import type { CertificateSite, CertifiedMember } from './site.ts';

/** Who issues now, and whom everybody trusts (PEM). */
export interface Trust {
  readonly issuer: Authority;
  readonly bundle: string;
}

type Place = Pick<CertificateSite, 'authority'>;
const stateFile = ({ authority }: Place) => join(authority, 'rotation.json');
const nextFolder = ({ authority }: Place) => join(authority, 'next');

/** Undefined when no rotation is under way. Errors: `tls.invalid`. */
export function stageOf(site: Place): Stage | undefined {
  if (!existsSync(stateFile(site))) return undefined;
  try {
    const { version, stage } = JSON.parse(readFileSync(stateFile(site), 'utf8')) as { version: unknown; stage: unknown };
    const found = STAGES.find((one) => one === stage);
    if (version === 1 && found !== undefined) return found;
  } catch {
    // Told below.
  }
  return fail('tls.invalid', `${stateFile(site)} is damaged, or was written by a later version`);
}

export async function setStage(site: Place, stage: Stage): Promise<void> {
  await writeAtomically(stateFile(site), `${JSON.stringify({ version: 1, stage })}\n`);
}

/** What new certificates are made by, at whatever stage. Errors: `tls.invalid`. */
export async function trustNow(site: Place): Promise<Trust> {
  const stage = stageOf(site);
  const present = await readAuthority(site.authority);
  if (stage === undefined) return { issuer: present, bundle: present.certificate };
  const next = await readAuthority(nextFolder(site));
  const both = `${present.certificate}${next.certificate}`;
  if (stage === 'trust') return { issuer: present, bundle: both };
  return { issuer: next, bundle: stage === 'issue' ? both : next.certificate };
}

/** The state is written last: a half-made authority is made anew. */
export async function beginRotation(site: CertificateSite): Promise<void> {
  await mkdir(nextFolder(site), { recursive: true, mode: 0o700 });
  await writeAuthority(nextFolder(site), await createAuthority({ cluster: site.cluster }));
  await setStage(site, 'trust');
}

/** The new authority takes the place of the old one. */
export async function endRotation(site: CertificateSite): Promise<void> {
  await writeAuthority(site.authority, await readAuthority(nextFolder(site)));
  await rm(stateFile(site));
  await rm(nextFolder(site), { recursive: true });
}

/** Writes what the stage demands, for members and clients. Certificates are made anew only where the issuer is another one. */
export async function writeTrust(site: CertificateSite): Promise<void> {
  const { issuer, bundle } = await trustNow(site);
  await writeAtomically(site.clientCa, bundle, { mode: 0o644 });
  for (const member of [...site.members, ...(site.listeners ?? [])]) {
    const paths = tlsPaths(member.tlsDir);
    const certificate = new X509Certificate(readFileSync(paths.certificate));
    if (certificate.verify(new X509Certificate(issuer.certificate).publicKey)) await writeAtomically(paths.ca, bundle);
    else await issueFor(member, { issuer, bundle });
  }
  await keepProxies(site, { issuer, bundle });
  site.tellListeners?.();
}

/** A new certificate and key for a member. */
export async function issueFor({ name, hosts, tlsDir }: CertifiedMember, { issuer, bundle }: Trust): Promise<void> {
  await writeTlsFiles(tlsDir, { certificate: bundle }, await issueCertificate(issuer, { name, hosts: [...hosts, 'localhost'] }));
}
