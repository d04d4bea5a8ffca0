import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { type Authority, createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { hasProxyTls, proxyTlsPaths, readProxyTls, writeProxyTls } from '#adapters/tls/proxy-files.ts';
import { proxyCaPath, readAuthority, writeAuthority } from '#adapters/tls/tls-files.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import type { CertificateSite } from './site.ts';
import type { Trust } from './trust.ts';

const RENEW_BEFORE_MS = 30 * 86_400_000;

/** Where the certificates of the proxies are made and written. */
export type ProxySite = Pick<CertificateSite, 'cluster' | 'authority' | 'proxy'> & {
  readonly members: readonly Pick<CertificateSite['members'][number], 'tlsDir'>[];
};

/** The authority of the proxies' logins; made when there is none yet. Errors: `tls.invalid`, `disk.…`. */
async function proxyAuthority({ cluster, authority }: Pick<ProxySite, 'cluster' | 'authority'>): Promise<Authority> {
  const folder = join(authority, 'proxies');
  if (existsSync(join(folder, 'ca.key'))) return readAuthority(folder);
  const made = await createAuthority({ cluster, of: 'proxies' });
  await writeAuthority(folder, made);
  return made;
}

/** New certificates and keys for the proxies, and the members trust those who log in by them. */
export async function issueForProxies(site: ProxySite, { issuer, bundle }: Trust): Promise<void> {
  const own = await proxyAuthority(site);
  await trustProxies(site, own);
  await writeProxyTls(site.proxy, {
    agents: { ca: bundle, ...(await issueCertificate(issuer, { name: PROXY_NAME, clientOnly: true })) },
    servers: await issueCertificate(own, { name: PROXY_LOGIN_NAME, clientOnly: true }),
  });
}

/** What is missing, as in a cluster of before there were proxies, by another issuer or about to run out is made. The rest stays. */
export async function keepProxies(site: ProxySite, trust: Trust): Promise<void> {
  const own = await proxyAuthority(site);
  if (!hasProxyTls(site.proxy)) return issueForProxies(site, trust);
  await trustProxies(site, own);
  const { agents, servers } = await readProxyTls(site.proxy);
  if (!isGood(trust.issuer, agents.certificate) || !isGood(own, servers.certificate)) return issueForProxies(site, trust);
  if (agents.ca !== trust.bundle) await writeAtomically(proxyTlsPaths(site.proxy).ca, trust.bundle);
}

async function trustProxies({ members }: ProxySite, { certificate }: Authority): Promise<void> {
  for (const file of members.map(({ tlsDir }) => proxyCaPath(tlsDir)))
    if (!existsSync(file) || readFileSync(file, 'utf8') !== certificate) await writeAtomically(file, certificate);
}

function isGood(authority: Authority, pem: string): boolean {
  const certificate = new X509Certificate(pem);
  const lasts = certificate.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS;
  return lasts && certificate.verify(new X509Certificate(authority.certificate).publicKey);
}
