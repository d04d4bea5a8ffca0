import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import type { TlsSummary } from '#domain/status.ts';
import type { CertificateWithKey } from './authority.ts';
import type { TlsIdentity } from './tls-files.ts';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a bundle: `ca.crt` holds two authorities while one replaces the other. Errors: `tls.invalid`. */
export function certificatesOf(bundle: string): readonly X509Certificate[] {
  const found = bundle.match(PEM) ?? [];
  if (found.length === 0) fail('tls.invalid', 'it holds no certificate (PEM)');
  return found.map((pem) => new X509Certificate(pem));
}

/**
 * Can `name` live by these files? Half of them written, one of another pair, or one that has run out must never take the place of
 * files that are in order. Errors: `tls.invalid`, with the reason.
 */
export function checkIdentity(identity: TlsIdentity, name: MemberName, now = new Date(), file = 'member'): void {
  const authorities = read('ca.crt', () => certificatesOf(identity.ca));
  const { proxyCa } = identity;
  if (proxyCa !== undefined) read('proxy-ca.crt', () => certificatesOf(proxyCa));
  const certificate = checkPair(identity, file, name, now);
  if (!authorities.some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey)))
    fail('tls.invalid', `no authority in ca.crt has signed ${file}.crt`);
}

/** Key, time and name of `file.crt` and `file.key`, whoever has signed. Errors: `tls.invalid`, with the reason. */
export function checkPair(pair: CertificateWithKey, file: string, name: string, now = new Date()): X509Certificate {
  const certificate = read(`${file}.crt`, () => new X509Certificate(pair.certificate));
  const key = read(`${file}.key`, () => createPrivateKey(pair.key));
  if (!certificate.checkPrivateKey(key)) fail('tls.invalid', `${file}.key is not the key of ${file}.crt`);
  if (certificate.validToDate <= now) fail('tls.invalid', `${file}.crt has run out on ${certificate.validTo}`);
  if (certificate.validFromDate > now) fail('tls.invalid', `${file}.crt is not valid before ${certificate.validFrom}`);
  if (!certificate.subject.split('\n').includes(`CN=${name}`))
    fail('tls.invalid', `${file}.crt is of ${certificate.subject.replaceAll('\n', ', ')}, not of ${name}`);
  return certificate;
}

function read<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Never the text of what was read: it may be a key.
    return fail('tls.invalid', `${file} is damaged${error instanceof MatriarchError ? `: ${error.message}` : ''}`);
  }
}

/** What tells two identities apart, without a secret. */
export function summarize(identity: TlsIdentity): TlsSummary {
  const certificate = new X509Certificate(identity.certificate);
  return {
    certificate: fingerprintOf(certificate),
    authorities: certificatesOf(identity.ca).map(fingerprintOf).sort(),
    expires: certificate.validToDate.toISOString(),
  };
}

/** SHA-256 of the certificate, in hexadecimal, as `openssl x509 -fingerprint -sha256` gives it without the colons. */
export function fingerprintOf(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}
