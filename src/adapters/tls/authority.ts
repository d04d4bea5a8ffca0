import { isIP } from 'node:net';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import { PROXY_LOGIN_NAME, type PROXY_NAME } from '#domain/proxy-names.ts';

/** A certificate and its private key, both PEM. */
export interface CertificateWithKey {
  readonly certificate: string;
  /** Secret: PKCS#8. */
  readonly key: string;
}

/** The certificate authority of one cluster, or of its proxies: whoever shows a certificate of it belongs to them. */
export type Authority = CertificateWithKey;

export interface CertificateRequest {
  /** The subject's common name, by which peers know each other, and a DNS name of the certificate. */
  readonly name: MemberName;
  /** DNS names and addresses under which the member's PostgreSQL and API are reached. */
  readonly hosts: readonly string[];
}

export interface ClientCertificateRequest {
  readonly name: typeof PROXY_NAME | typeof PROXY_LOGIN_NAME;
  /** Nobody can be served with it: it has no name that a client looks for, and may not be used so. */
  readonly clientOnly: true;
}

const AUTHORITY_DAYS = 3650;
const MEMBER_DAYS = 365;
/** Certificates begin before now, for peers whose clock is behind. */
const BACKDATE_MS = 86_400_000;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

const OF_PROXIES = ' proxies authority';

/** Makes the authority of a new cluster, or of its proxies, valid for ten years. */
export async function createAuthority(options: { readonly cluster: string; readonly of?: 'proxies' }): Promise<Authority> {
  const x509 = await library();
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [`${options.cluster}${options.of === undefined ? ' authority' : OF_PROXIES}`] }, { O: ['Matriarch'] }],
    ...validity(AUTHORITY_DAYS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys.privateKey) };
}

/**
 * Issues a certificate for a member, valid for a year, for both ends of a connection: its PostgreSQL, its API, and itself as a
 * client of the others.
 */
export async function issueCertificate(
  authority: Authority,
  request: CertificateRequest | ClientCertificateRequest,
): Promise<CertificateWithKey> {
  const x509 = await library();
  const keys = await generateKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  // PostgreSQL takes the certificates of both authorities, and tells them apart by this name alone.
  if (request.name === PROXY_LOGIN_NAME && !issuer.subject.includes(`${OF_PROXIES},`))
    fail('internal.bug', `only the authority of the proxies issues for ${PROXY_LOGIN_NAME}, not ${issuer.subject}`);
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const names = 'hosts' in request ? [...new Set([request.name, ...request.hosts])] : [];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: [{ CN: [request.name] }, { O: ['Matriarch'] }],
    issuer: issuer.subjectName,
    ...validity(MEMBER_DAYS),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension('hosts' in request ? [serverAuth, clientAuth] : [clientAuth]),
      ...(names.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })))]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys.privateKey) };
}

/** Loaded when a certificate is made and never before: it costs an agent that only uses certificates a tenth of its memory. */
async function library() {
  // Its dependency injection asks for the polyfill.
  await import('reflect-metadata');
  // By its default: bundled, a package of the older kind has no other name.
  return (await import('@peculiar/x509')).default;
}

function validity(days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + days * 86_400_000) };
}

/** RFC 5280, 4.1.2.2: positive, at most 20 bytes, unique for the authority. */
function randomSerial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function generateKeys() {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function importKey(pem: string) {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return crypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

async function exportKey(key: Parameters<typeof crypto.subtle.exportKey>[1]): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/(.{64})(?=.)/g, '$1\n')}\n-----END PRIVATE KEY-----\n`;
}
