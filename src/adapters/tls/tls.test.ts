import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberConfigSchema } from '#domain/config/member-config.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { type Authority, createAuthority, issueCertificate } from './authority.ts';
import { clientTls, peerName, serverTls } from './contexts.ts';
import { readAuthority, readTlsFiles, type TlsIdentity, tlsPaths, writeAuthority, writeTlsFiles } from './tls-files.ts';

let authority: Authority;
let n1: TlsIdentity;
let n2: TlsIdentity;
let stranger: TlsIdentity;

async function identityOf(of: Authority, name: string): Promise<TlsIdentity> {
  return { ca: of.certificate, ...(await issueCertificate(of, { name, hosts: ['localhost', '127.0.0.1', '::1'] })) };
}

beforeAll(async () => {
  authority = await createAuthority({ cluster: 'herd' });
  [n1, n2, stranger] = await Promise.all([
    identityOf(authority, 'n1'),
    identityOf(authority, 'n2'),
    identityOf(await createAuthority({ cluster: 'herd' }), 'n2'),
  ]);
});

/** Who the server takes the client for, or the error of the one who refused. */
async function meet(server: TlsIdentity, client: ConnectionOptions): Promise<string> {
  const listener = createServer(serverTls(server));
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const seen = Promise.withResolvers<string>();
  listener.on('secureConnection', (socket: TLSSocket) => {
    seen.resolve(peerName(socket) ?? 'nobody');
    socket.on('error', () => {});
    socket.end();
  });
  const socket = connect({ host: '127.0.0.1', port: (listener.address() as AddressInfo).port, ...client });
  socket.on('error', (error: NodeJS.ErrnoException) => seen.resolve(`refused: ${error.code}`));
  try {
    await Promise.race([once(socket, 'secureConnect'), seen.promise]).catch(() => {});
    return await seen.promise;
  } finally {
    socket.destroy();
    listener.close();
  }
}

describe('Members', () => {
  test('know each other by name', async () => {
    expect(await meet(n1, clientTls(n2, 'n1'))).toBe('n2');
  });

  test('do not take one member for another', async () => {
    expect(await meet(n1, clientTls(n2, 'n3'))).toBe('refused: ERR_TLS_CERT_ALTNAME_INVALID');
  });

  test('of another cluster of the same name are nobody, and refuse', async () => {
    const { ca: _, ...certificate } = clientTls(stranger, 'n1');
    expect(await meet(n1, { ...certificate, ca: n1.ca })).toBe('nobody');
    expect(await meet(n1, clientTls(stranger, 'n1'))).toMatch(/^refused: /);
  });

  test('without a certificate are nobody', async () => {
    expect(await meet(n1, { ca: n1.ca, servername: 'n1' })).toBe('nobody');
  });
});

describe('Certificates', () => {
  test('cover the name and the hosts, last a year, and are no authorities', () => {
    const certificate = new X509Certificate(n1.certificate);
    const root = new X509Certificate(authority.certificate);
    expect(certificate.checkIssued(root)).toBe(true);
    expect(certificate.verify(root.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(root.ca).toBe(true);
    for (const name of ['n1', 'localhost']) expect(certificate.checkHost(name)).toBe(name);
    for (const address of ['127.0.0.1', '::1']) expect(certificate.checkIP(address)).toBe(address);
    const days = (pem: X509Certificate) => Math.round((pem.validToDate.getTime() - Date.now()) / 86_400_000);
    expect(days(certificate)).toBe(365);
    expect(days(root)).toBe(3650);
  });

  test('for logins of proxies come from their own authority alone, and are for no server', async () => {
    const login = { name: PROXY_LOGIN_NAME, clientOnly: true } as const;
    await expect(issueCertificate(authority, login)).rejects.toMatchObject({ code: 'internal.bug' });
    await expect(issueCertificate(authority, { name: PROXY_LOGIN_NAME, hosts: [] })).rejects.toMatchObject({
      code: 'internal.bug',
    });
    const ofProxies = await createAuthority({ cluster: 'herd', of: 'proxies' });
    const issued = await issueCertificate(ofProxies, login);
    const certificate = new X509Certificate(issued.certificate);
    expect(certificate.subject).toContain(`CN=${PROXY_LOGIN_NAME}`);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    const proxy = { ca: n1.ca, ...(await issueCertificate(authority, { name: PROXY_NAME, clientOnly: true })) };
    expect(await meet(n1, clientTls(proxy, 'n1'))).toBe(PROXY_NAME);
    expect(await meet(proxy, clientTls(n2, PROXY_NAME))).toMatch(/^refused: /);
    expect(await meet(n1, clientTls({ ca: n1.ca, ...issued }, 'n1'))).toBe('nobody');
    // No name of a member is like either.
    for (const name of [PROXY_NAME, PROXY_LOGIN_NAME]) expect(memberConfigSchema.shape.name.safeParse(name).success).toBe(false);
  });

  test('that a member issued are worthless', async () => {
    const forged = await identityOf({ certificate: n1.certificate, key: n1.key }, 'n3');
    expect(await meet(n1, { ...clientTls(forged, 'n1'), ca: n1.ca, cert: forged.certificate + n1.certificate })).toBe('nobody');
  });
});

describe('TLS files', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'matriarch-tls-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));

  test('are read as they were written, by their owner alone', async () => {
    const own = join(folder, 'n1');
    await writeTlsFiles(own, authority, n1);
    expect(await readTlsFiles(own)).toEqual(n1);
    for (const path of Object.values(tlsPaths(own))) expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(own).mode & 0o777).toBe(0o700);
    await writeAuthority(join(folder, 'authority'), authority);
    expect(await readAuthority(join(folder, 'authority'))).toEqual(authority);
  });

  test('that are missing are named', async () => {
    await expect(readTlsFiles(join(folder, 'n9'))).rejects.toMatchObject({
      code: 'tls.invalid',
      message: expect.stringContaining('ca.crt'),
    });
  });
});
