import { createHash, createHmac } from 'node:crypto';

/** Of SHA-256. */
export const KEY_BYTES = 32;

export const SCRAM = 'SCRAM-SHA-256';
export const SCRAM_PLUS = 'SCRAM-SHA-256-PLUS';
export type ScramMechanism = typeof SCRAM | typeof SCRAM_PLUS;

/** The one kind of channel binding that PostgreSQL knows. */
export const BINDING_TYPE = 'tls-server-end-point';

export function hmac(key: Buffer, text: string | Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Two of one length. */
export function xor(left: Buffer, right: Buffer): Buffer {
  return Buffer.from(left.map((byte, index) => byte ^ (right[index] ?? 0)));
}
