import 'reflect-metadata';
import { createHash, webcrypto } from 'node:crypto';
import { createRequire } from 'node:module';
import { X509CertificateGenerator } from '@peculiar/x509';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tlsServerEndPoint } from './end-point-hash.ts';

interface ClientCertificates {
  signatureAlgorithmHashFromCertificate(der: Buffer): string;
}
/** node-postgres's own. */
const client = createRequire(import.meta.url)('pg/lib/crypto/cert-signatures') as ClientCertificates;

async function certificateSignedBy(algorithm: object): Promise<Buffer> {
  const keys = await webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify']);
  const options = { name: 'CN=test', keys, signingAlgorithm: algorithm };
  const certificate = await X509CertificateGenerator.createSelfSigned(options as never);
  return Buffer.from(certificate.rawData);
}

const rsa = (name: string, hash: string) => ({ name, hash, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) });
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' };

describe.each([
  ['RSA with SHA-1', rsa('RSASSA-PKCS1-v1_5', 'SHA-1'), 'SHA-1', 'sha256'],
  ['RSA with SHA-256', rsa('RSASSA-PKCS1-v1_5', 'SHA-256'), 'SHA-256', 'sha256'],
  ['RSA with SHA-384', rsa('RSASSA-PKCS1-v1_5', 'SHA-384'), 'SHA-384', 'sha384'],
  ['RSA with SHA-512', rsa('RSASSA-PKCS1-v1_5', 'SHA-512'), 'SHA-512', 'sha512'],
  ['RSASSA-PSS with SHA-256', { ...rsa('RSA-PSS', 'SHA-256'), saltLength: 32 }, 'SHA-256', 'sha256'],
  ['RSASSA-PSS with SHA-512', { ...rsa('RSA-PSS', 'SHA-512'), saltLength: 64 }, 'SHA-512', 'sha512'],
  ['ECDSA with SHA-256', { ...ecdsa, hash: 'SHA-256' }, 'SHA-256', 'sha256'],
  ['ECDSA with SHA-384', { ...ecdsa, hash: 'SHA-384' }, 'SHA-384', 'sha384'],
  ['ECDSA with SHA-512', { ...ecdsa, hash: 'SHA-512' }, 'SHA-512', 'sha512'],
])('%s', (_, algorithm, named, hash) => {
  test('is hashed as node-postgres hashes it', async () => {
    const certificate = await certificateSignedBy(algorithm);
    expect(client.signatureAlgorithmHashFromCertificate(certificate)).toBe(named);
    expect(tlsServerEndPoint(certificate)).toEqual(createHash(hash).update(certificate).digest());
  });
});

test('Ed25519 has none', async () => {
  const certificate = await certificateSignedBy({ name: 'Ed25519' });
  expect(tlsServerEndPoint(certificate)).toBeNull();
});

test('what is no certificate has none, and is read without a throw', async () => {
  const certificate = await certificateSignedBy({ ...ecdsa, hash: 'SHA-256' });
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
