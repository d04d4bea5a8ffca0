import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tlsServerEndPoint } from './end-point-hash.ts';
import { ED25519, PSS_SHA512, RSA, selfSigned } from './testing/self-signed.ts';

interface ClientCertificates {
  signatureAlgorithmHashFromCertificate(der: Buffer): string;
}
/** node-postgres's own. */
const client = createRequire(import.meta.url)('pg/lib/crypto/cert-signatures') as ClientCertificates;

const rsa = (name: string, hash: string) => ({ ...RSA, name, hash });
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' };

describe.each([
  ['RSA with SHA-1', rsa('RSASSA-PKCS1-v1_5', 'SHA-1'), 'SHA-1', 'sha256'],
  ['RSA with SHA-256', rsa('RSASSA-PKCS1-v1_5', 'SHA-256'), 'SHA-256', 'sha256'],
  ['RSA with SHA-384', rsa('RSASSA-PKCS1-v1_5', 'SHA-384'), 'SHA-384', 'sha384'],
  ['RSA with SHA-512', rsa('RSASSA-PKCS1-v1_5', 'SHA-512'), 'SHA-512', 'sha512'],
  ['RSASSA-PSS with SHA-256', { ...rsa('RSA-PSS', 'SHA-256'), saltLength: 32 }, 'SHA-256', 'sha256'],
  ['RSASSA-PSS with SHA-512', PSS_SHA512, 'SHA-512', 'sha512'],
  ['ECDSA with SHA-256', { ...ecdsa, hash: 'SHA-256' }, 'SHA-256', 'sha256'],
  ['ECDSA with SHA-384', { ...ecdsa, hash: 'SHA-384' }, 'SHA-384', 'sha384'],
  ['ECDSA with SHA-512', { ...ecdsa, hash: 'SHA-512' }, 'SHA-512', 'sha512'],
])('%s', (_, algorithm, named, hash) => {
  test('is hashed as node-postgres hashes it', async () => {
    const { der: certificate } = await selfSigned(algorithm);
    expect(client.signatureAlgorithmHashFromCertificate(certificate)).toBe(named);
    expect(tlsServerEndPoint(certificate)).toEqual(createHash(hash).update(certificate).digest());
  });
});

test('Ed25519 has none', async () => {
  const { der: certificate } = await selfSigned(ED25519);
  expect(tlsServerEndPoint(certificate)).toBeNull();
});

test('what is no certificate has none, and is read without a throw', async () => {
  const { der: certificate } = await selfSigned({ ...ecdsa, hash: 'SHA-256' });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), fc.nat(), (rubbish, at, end) => {
      expect(tlsServerEndPoint(Buffer.from(rubbish))).toBeNull();
      expect(tlsServerEndPoint(certificate.subarray(0, end % certificate.length))).toBeNull();
      const bytes = Buffer.from(certificate);
      Buffer.from(rubbish).copy(bytes, at % bytes.length);
      expect([null, 32, 28, 48, 64]).toContain(tlsServerEndPoint(bytes)?.length ?? null);
    }),
    { numRuns: 500 },
  );
});
