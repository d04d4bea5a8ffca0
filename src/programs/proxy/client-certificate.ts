import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { readTlsText } from '#adapters/tls/read-tls-text.ts';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { ClientTls } from './proxy.ts';

/** What clients are shown; null when no TLS is offered. Errors: `tls.invalid` with the file that is missing or does not fit. */
export function readClientTls({ mode, certificateFile, keyFile, clientCaFile }: ProxyConfig['tls']): ClientTls | null {
  if (mode === 'disable' || certificateFile === undefined || keyFile === undefined) return null;
  const tls = {
    certificate: readTlsText(certificateFile),
    key: readTlsText(keyFile),
    ...(clientCaFile === undefined ? {} : { clientCa: readTlsText(clientCaFile) }),
  };
  try {
    // Of different kinds, OpenSSL would take both and use neither.
    if (!new X509Certificate(tls.certificate).checkPrivateKey(createPrivateKey(tls.key)))
      throw new Error('the key is of another certificate');
    createSecureContext({ cert: tls.certificate, key: tls.key, ca: tls.clientCa });
  } catch (error) {
    fail('tls.invalid', `${certificateFile} and ${keyFile}: ${(error as Error).message}`, error);
  }
  return tls;
}
