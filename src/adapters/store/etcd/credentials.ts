import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import { fail } from '#domain/errors.ts';
import { readPasswordFile } from '../../files/read-password-file.ts';

export interface CredentialFiles {
  readonly caFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly user?: string | undefined;
  readonly passwordFile?: string | undefined;
}

export interface EtcdUser {
  readonly name: string;
  /** Secret. */
  readonly password: string;
}

/** How the store shows who it is, and whom it trusts; read into memory once. */
export interface Credentials {
  /** Undefined: those that Node.js trusts, and no certificate. */
  readonly secureContext: SecureContext | undefined;
  readonly user: EtcdUser | undefined;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Errors: `tls.invalid`, and those of `readPasswordFile`; all name the file. */
export async function readCredentials(files: CredentialFiles): Promise<Credentials> {
  const { caFile, certificateFile, keyFile, user, passwordFile } = files;
  const ca = caFile === undefined ? undefined : await readPem(caFile);
  const cert = certificateFile === undefined ? undefined : await readPem(certificateFile);
  const key = keyFile === undefined ? undefined : await readPem(keyFile);
  return {
    secureContext: ca === undefined && cert === undefined ? undefined : toContext({ ca, cert, key }, files),
    user:
      user === undefined || passwordFile === undefined
        ? undefined
        : { name: user, password: readPasswordFile(passwordFile, 'store.passwordFile') },
  };
}

function toContext(
  { ca, cert, key }: { readonly ca: string | undefined; readonly cert: string | undefined; readonly key: string | undefined },
  files: CredentialFiles,
): SecureContext {
  const create = (options: Parameters<typeof createSecureContext>[0], place: string) => {
    try {
      // Those that cannot be read would be passed over without a word, and then nobody trusted.
      for (const pem of String(options?.ca ?? '').match(CERTIFICATE) ?? []) new X509Certificate(pem);
      return createSecureContext({ ...options, minVersion: 'TLSv1.2' });
    } catch (error) {
      // OpenSSL's messages name no file and hold nothing of the key.
      return fail('tls.invalid', `${place}: ${(error as Error).message}`, error);
    }
  };
  // One after the other first, so that the message names the right one.
  if (ca !== undefined) create({ ca }, files.caFile ?? '');
  if (cert !== undefined) create({ cert }, files.certificateFile ?? '');
  if (key !== undefined) create({ key }, files.keyFile ?? '');
  const both = cert === undefined || key === undefined ? {} : { cert, key };
  return create({ ...(ca === undefined ? {} : { ca }), ...both }, `${files.keyFile} with ${files.certificateFile}`);
}

async function readPem(path: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return fail('tls.invalid', (error as Error).message, error);
  }
  if (!text.includes('-----BEGIN ')) fail('tls.invalid', `${path}: holds no PEM`);
  return text;
}
