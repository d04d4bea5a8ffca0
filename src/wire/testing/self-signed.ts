import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509';

export interface SelfSigned {
  readonly der: Buffer;
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

/** For 127.0.0.1; `algorithm` as Web Crypto names it. */
export async function selfSigned(algorithm: object): Promise<SelfSigned> {
  const keys = await webcrypto.subtle.generateKey(algorithm as webcrypto.EcKeyGenParams, true, ['sign', 'verify']);
  const extensions = [new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])];
  const options = { name: 'CN=test', keys, signingAlgorithm: algorithm, extensions };
  const certificate = await X509CertificateGenerator.createSelfSigned(options as never);
  const key = await webcrypto.subtle.exportKey('pkcs8', (keys as webcrypto.CryptoKeyPair).privateKey);
  return {
    der: Buffer.from(certificate.rawData),
    certificate: certificate.toString('pem'),
    key: PemConverter.encode(key, 'PRIVATE KEY'),
  };
}

export const RSA = { modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) };
export const ED25519 = { name: 'Ed25519' };
export const ECDSA_SHA384 = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
export const PSS_SHA512 = { ...RSA, name: 'RSA-PSS', hash: 'SHA-512', saltLength: 64 };
