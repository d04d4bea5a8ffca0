import { createHash } from 'node:crypto';

/** Signature algorithms (as hexadecimal object identifiers) and the hash that RFC 5929, section 4.1, gives for them. */
const HASH_OF: Readonly<Record<string, string>> = {
  // RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512, SHA-224.
  '2a864886f70d010104': 'sha256',
  '2a864886f70d010105': 'sha256',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a864886f70d01010e': 'sha224',
  // ECDSA with SHA-1, SHA-224, SHA-256, SHA-384, SHA-512.
  '2a8648ce3d0401': 'sha256',
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  // The hashes themselves, as RSASSA-PSS names them: SHA-1, SHA-256, SHA-384, SHA-512, SHA-224.
  '2b0e03021a': 'sha256',
  '608648016503040201': 'sha256',
  '608648016503040202': 'sha384',
  '608648016503040203': 'sha512',
  '608648016503040204': 'sha224',
};
const RSASSA_PSS = '2a864886f70d01010a';
const SEQUENCE = 0x30;
const OBJECT_IDENTIFIER = 0x06;
const FIRST_PARAMETER = 0xa0;

/**
 * The channel binding `tls-server-end-point` of a certificate (DER): its hash by the algorithm of its signature, SHA-256 instead of
 * MD5 and SHA-1. Null where there is none, as for Ed25519: PostgreSQL and libpq fail there with "could not find digest for NID UNDEF",
 * so -PLUS is neither offered nor chosen.
 */
export function tlsServerEndPoint(certificateDer: Buffer): Buffer | null {
  const algorithm = signatureHash(certificateDer);
  return algorithm === undefined ? null : createHash(algorithm).update(certificateDer).digest();
}

function signatureHash(certificateDer: Buffer): string | undefined {
  const certificate = contentOf(certificateDer, SEQUENCE);
  const afterBody = certificate && behind(certificate, SEQUENCE);
  const identifier = afterBody && contentOf(afterBody, SEQUENCE);
  const oid = identifier && contentOf(identifier, OBJECT_IDENTIFIER)?.toString('hex');
  if (identifier === undefined || oid === undefined) return undefined;
  if (oid !== RSASSA_PSS) return HASH_OF[oid];
  const parameters = behind(identifier, OBJECT_IDENTIFIER);
  const list = parameters && contentOf(parameters, SEQUENCE);
  // RFC 4055: without the first parameter the hash is SHA-1.
  if (list === undefined || list[0] !== FIRST_PARAMETER) return list && 'sha256';
  const first = contentOf(list, FIRST_PARAMETER);
  const hashIdentifier = first && contentOf(first, SEQUENCE);
  const hashOid = hashIdentifier && contentOf(hashIdentifier, OBJECT_IDENTIFIER);
  return hashOid && HASH_OF[hashOid.toString('hex')];
}

function contentOf(bytes: Buffer, tag: number): Buffer | undefined {
  const place = measure(bytes, tag);
  return place && bytes.subarray(place.start, place.end);
}

function behind(bytes: Buffer, tag: number): Buffer | undefined {
  const place = measure(bytes, tag);
  return place && bytes.subarray(place.end);
}

/** Where the content of the element at the start is; undefined for another tag, or an end beyond the bytes. */
function measure(bytes: Buffer, tag: number): { readonly start: number; readonly end: number } | undefined {
  const short = bytes[1];
  if (bytes[0] !== tag || short === undefined) return undefined;
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f;
  if (lengthBytes > 4 || bytes.length < 2 + lengthBytes || short === 0x80) return undefined;
  const start = 2 + lengthBytes;
  const end = start + (lengthBytes === 0 ? short : bytes.readUIntBE(2, lengthBytes));
  return end <= bytes.length ? { start, end } : undefined;
}
