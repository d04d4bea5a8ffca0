import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAuthority } from '#adapters/tls/authority.ts';
import { checkIdentity } from '#adapters/tls/check-identity.ts';
import { proxyTlsPaths, readProxyTls } from '#adapters/tls/proxy-files.ts';
import { proxyCaPath } from '#adapters/tls/tls-files.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { issueForProxies, keepProxies } from './proxy-trust.ts';

let folder: string;
const site = () => ({
  cluster: 'herd',
  authority: join(folder, 'authority'),
  proxy: join(folder, 'proxy'),
  members: ['n1', 'n2'].map((name) => ({ tlsDir: folder, name })),
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-trust-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = () => Object.values(proxyTlsPaths(site().proxy)).map((path) => readFileSync(path, 'utf8'));

test('a cluster of before gets what it lacks, once, for its owner alone', async () => {
  const issuer = await createAuthority({ cluster: 'herd' });
  const trust = { issuer, bundle: issuer.certificate };
  await keepProxies(site(), trust);
  const { agents, servers } = await readProxyTls(site().proxy);
  checkIdentity(agents, PROXY_NAME);
  checkIdentity({ ca: readFileSync(proxyCaPath(folder), 'utf8'), ...servers }, PROXY_LOGIN_NAME);
  for (const path of Object.values(proxyTlsPaths(site().proxy))) expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(site().proxy).mode & 0o777).toBe(0o700);
  const before = read();
  await keepProxies(site(), trust);
  expect(read()).toEqual(before);
  rmSync(proxyTlsPaths(site().proxy).serverKey);
  rmSync(proxyCaPath(folder));
  await keepProxies(site(), trust);
  const mended = await readProxyTls(site().proxy);
  checkIdentity({ ca: readFileSync(proxyCaPath(folder), 'utf8'), ...mended.servers }, PROXY_LOGIN_NAME);
});

test('the rotation of the cluster is followed: both are trusted first, then the new one has signed', async () => {
  const [old, next] = [await createAuthority({ cluster: 'herd' }), await createAuthority({ cluster: 'herd' })];
  await issueForProxies(site(), { issuer: old, bundle: old.certificate });
  const [, certificate] = read();
  const bundle = `${old.certificate}${next.certificate}`;
  await keepProxies(site(), { issuer: old, bundle });
  expect(read().slice(0, 2)).toEqual([bundle, certificate]);
  await keepProxies(site(), { issuer: next, bundle });
  expect(read()[1]).not.toBe(certificate);
  await keepProxies(site(), { issuer: next, bundle: next.certificate });
  checkIdentity((await readProxyTls(site().proxy)).agents, PROXY_NAME);
});
