import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { type Authority, createAuthority, issueCertificate } from './authority.ts';
import { type ProxyIdentity, proxyTlsPaths, writeProxyTls } from './proxy-files.ts';
import { ProxyIdentityFiles } from './proxy-identity.ts';

let folder: string;
let authority: Authority;
let ofProxies: Authority;
const lines: string[] = [];
let files: ProxyIdentityFiles | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-identity-'));
  authority = await createAuthority({ cluster: 'herd' });
  ofProxies = await createAuthority({ cluster: 'herd', of: 'proxies' });
  lines.length = 0;
});
afterEach(() => {
  files?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function make(): Promise<ProxyIdentity> {
  return {
    agents: { ca: authority.certificate, ...(await issueCertificate(authority, { name: PROXY_NAME, clientOnly: true })) },
    servers: await issueCertificate(ofProxies, { name: PROXY_LOGIN_NAME, clientOnly: true }),
  };
}

test('new files are used, half of them are refused once, and mended ones used', async () => {
  const first = await make();
  await writeProxyTls(folder, first);
  files = await ProxyIdentityFiles.open(folder, (line) => lines.push(line), 5);
  expect(files.current).toEqual(first);
  const second = await make();
  await writeProxyTls(folder, second);
  await expect.poll(() => files?.current).toEqual(second);
  const third = await make();
  writeFileSync(proxyTlsPaths(folder).serverKey, third.servers.key);
  await expect.poll(() => lines.at(-1)).toContain('server.key is not the key of server.crt');
  expect(files.current).toEqual(second);
  writeFileSync(proxyTlsPaths(folder).serverCertificate, third.servers.certificate);
  await expect.poll(() => files?.current.servers).toEqual(third.servers);
  expect(lines.join()).not.toContain('PRIVATE KEY');
});

test('a proxy does not start by files of somebody else, and says which one is missing', async () => {
  const { agents, servers } = await make();
  const member = { ca: authority.certificate, ...(await issueCertificate(authority, { name: 'n1', hosts: [] })) };
  await writeProxyTls(folder, { agents: member, servers });
  const open = () => ProxyIdentityFiles.open(folder, () => {});
  await expect(open()).rejects.toMatchObject({ code: 'tls.invalid', message: expect.stringContaining('proxy.crt is of') });
  await writeProxyTls(folder, { agents, servers: agents });
  await expect(open()).rejects.toMatchObject({ code: 'tls.invalid', message: expect.stringContaining('server.crt is of') });
  rmSync(proxyTlsPaths(folder).key);
  await expect(open()).rejects.toMatchObject({ code: 'tls.invalid', message: expect.stringContaining('proxy.key') });
});
