import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import type { TlsIdentity } from './tls-files.ts';

/** For a server that asks for a certificate and lets those without one connect: what they may do is decided request by request. */
export function serverTls(identity: TlsIdentity): TlsOptions {
  return {
    ca: identity.ca,
    cert: identity.certificate,
    key: identity.key,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  };
}

/** For a client that shows its certificate and accepts only the member `name` of the same cluster, wherever it is reached. */
export function clientTls(identity: TlsIdentity, name: MemberName): ConnectionOptions {
  return {
    ca: identity.ca,
    cert: identity.certificate,
    key: identity.key,
    // A DNS name of every member's certificate: Node compares it with the certificate and fails the connection.
    servername: name,
    minVersion: 'TLSv1.3',
  };
}

/**
 * Who is at the other end: the common name of a certificate that the cluster's authority signed and that is valid now. Undefined
 * without one.
 */
export function peerName(socket: TLSSocket): MemberName | undefined {
  if (!socket.authorized) return undefined;
  const name = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' && name !== '' ? name : undefined;
}
