import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Store, StoreChange } from '#domain/ports/store.ts';
import { createAuthority, issueCertificate } from '../../tls/authority.ts';
import { eventually, until } from '../conformance/store-bench.ts';
import { type EtcdStoreOptions, openEtcdStore } from './etcd-store.ts';
import { EtcdCluster, type EtcdClusterOptions } from './testing/etcd-cluster.ts';
import { type Rubbish, RubbishServer } from './testing/rubbish-server.ts';

const PREFIX = '/matriarch/access/';
const UNAVAILABLE = { code: 'store.unavailable' };
const PASSWORD = 'open sesame, öffne dich';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function startEtcd(options?: EtcdClusterOptions): Promise<EtcdCluster> {
  const etcd = await EtcdCluster.start(options);
  endings.push(() => etcd.remove());
  return etcd;
}

async function openWith(options: Omit<EtcdStoreOptions, 'prefix'> & { readonly prefix?: string }): Promise<Store> {
  const store = await openEtcdStore({ prefix: PREFIX, ...options });
  endings.push(() => store.close());
  return store;
}

function fileIn(etcd: EtcdCluster, name: string, text: string, mode = 0o600): string {
  const file = join(etcd.folder, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

async function isKnown(etcd: EtcdCluster, token: string): Promise<boolean> {
  try {
    await etcd.call('kv/range', { key: 'YQ==' }, { token });
    return true;
  } catch {
    return false;
  }
}

describe('TLS', () => {
  test('by the authority that signed the certificates of etcd, calls and watches', async () => {
    const etcd = await startEtcd({ tls: { clients: false } });
    const store = await openWith({ endpoints: etcd.endpoints, caFile: etcd.clientFiles?.caFile });
    const changes: StoreChange[] = [];
    store.watch('', (change) => changes.push(change), new AbortController().signal);
    const { version } = await store.put('a', 1);
    expect(await store.get('a')).toEqual({ value: 1, version });
    await until(() => changes.length === 1);
  });

  test('with a certificate where etcd asks for one, and refused without or with that of a stranger', async () => {
    const etcd = await startEtcd({ tls: { clients: true } });
    const { caFile, certificateFile, keyFile } = etcd.clientFiles ?? {};
    const store = await openWith({ endpoints: etcd.endpoints, caFile, certificateFile, keyFile });
    await store.put('a', 1);
    const without = await openWith({ endpoints: etcd.endpoints, caFile });
    await expect(without.get('a')).rejects.toMatchObject({ code: 'store.denied' });
    const stranger = await issueCertificate(await createAuthority({ cluster: 'other' }), { name: 'client', hosts: [] });
    const strange = await openWith({
      endpoints: etcd.endpoints,
      caFile,
      certificateFile: fileIn(etcd, 'strange.crt', stranger.certificate),
      keyFile: fileIn(etcd, 'strange.key', stranger.key),
    });
    await expect(strange.get('a')).rejects.toMatchObject({ code: 'store.denied' });
    // Of a write nobody repeats, the refusal is seen only when it comes before the end of the connection.
    await expect(strange.put('a', 2)).rejects.toThrow(/etcd: https/);
    expect((await store.get('a'))?.value).toBe(1);
  });

  test('a stranger in the place of etcd is not spoken to', async () => {
    const etcd = await startEtcd({ tls: { clients: false } });
    const other = await createAuthority({ cluster: 'other' });
    const caFile = fileIn(etcd, 'other.crt', other.certificate);
    const store = await openWith({ endpoints: etcd.endpoints, caFile });
    await expect(store.get('a')).rejects.toMatchObject({ code: 'store.untrusted' });
    await expect(store.put('a', 1)).rejects.toMatchObject({ code: 'store.untrusted' });
    const plain = await openWith({ endpoints: etcd.endpoints.map((url) => url.replace('https:', 'http:')) });
    await expect(plain.get('a')).rejects.toMatchObject(UNAVAILABLE);
  });

  test('files that are missing or are no certificates are named', async () => {
    const etcd = await startEtcd({ tls: { clients: false } });
    const { endpoints } = etcd;
    const { certificateFile, keyFile } = etcd.clientFiles ?? {};
    const rubbish = fileIn(etcd, 'rubbish.pem', '-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n');
    const other = await issueCertificate(await createAuthority({ cluster: 'other' }), { name: 'client', hosts: [] });
    const cases = [
      { caFile: join(etcd.folder, 'missing.crt') },
      { caFile: fileIn(etcd, 'empty.pem', '') },
      { caFile: rubbish },
      { certificateFile: rubbish, keyFile },
      { certificateFile, keyFile: rubbish },
      { certificateFile, keyFile: fileIn(etcd, 'other.key', other.key) },
    ];
    for (const files of cases) await expect(openWith({ endpoints, ...files })).rejects.toMatchObject({ code: 'tls.invalid' });
    await expect(openWith({ endpoints, caFile: rubbish })).rejects.toThrow(rubbish);
  });
});

describe('User and password', () => {
  test('are shown again when etcd has forgotten the token, for calls and watches', async () => {
    const etcd = await startEtcd();
    await etcd.enableAuthentication('agent', PASSWORD, PREFIX);
    const passwordFile = fileIn(etcd, 'password', `${PASSWORD}\n`);
    const store = await openWith({ endpoints: etcd.endpoints, user: 'agent', passwordFile });
    const changes: StoreChange[] = [];
    store.watch('', (change) => changes.push(change), new AbortController().signal);
    await eventually(() => store.put('a', 1, { ttlMs: 60_000 }));
    await until(() => changes.length === 1);
    await etcd.member(0).restart();
    await eventually(() => store.put('a', 2, { ttlMs: 60_000 }));
    await until(() => changes.at(-1)?.current?.value === 2);
    expect((await store.list('')).map(({ value }) => value)).toEqual([2]);
  });

  test('an expired token costs one repetition and nothing else', async () => {
    const etcd = await startEtcd({ extraArguments: ['--auth-token-ttl', '1'] });
    await etcd.enableAuthentication('agent', PASSWORD, PREFIX);
    const store = await openWith({
      endpoints: etcd.endpoints,
      user: 'agent',
      passwordFile: fileIn(etcd, 'password', PASSWORD),
      timeoutMs: 5000,
    });
    const { version } = await store.put('a', 1);
    // etcd tells of no expiry: a token that was given later and that nobody showed for longer than its life is gone.
    const { token } = (await etcd.call('auth/authenticate', { name: 'root', password: PASSWORD })) as { token: string };
    do await pause(2500);
    while (await isKnown(etcd, token));
    expect(await store.compareAndSet('a', version, 2)).toMatchObject({ ok: true });
    expect((await store.get('a'))?.value).toBe(2);
  });

  test('that are wrong, or are not asked for enough, are an error of their own without the password', async () => {
    const etcd = await startEtcd();
    await etcd.enableAuthentication('agent', PASSWORD, PREFIX);
    const { endpoints } = etcd;
    const denied = { code: 'store.denied' };
    const timeoutMs = 5000;
    const wrong = await openWith({ endpoints, user: 'agent', passwordFile: fileIn(etcd, 'wrong', 'hunter2'), timeoutMs });
    const error = await wrong.get('a').catch((reason: Error) => reason);
    expect(error).toMatchObject(denied);
    expect(String(error) + JSON.stringify(error) + String((error as Error).cause)).not.toContain('hunter2');
    await expect(wrong.put('a', 1)).rejects.toMatchObject(denied);
    await expect((await openWith({ endpoints, timeoutMs })).get('a')).rejects.toMatchObject(denied);
    const passwordFile = fileIn(etcd, 'password', PASSWORD);
    const elsewhere = await openWith({ endpoints, user: 'agent', passwordFile, prefix: '/others/', timeoutMs });
    await expect(elsewhere.put('a', 1)).rejects.toMatchObject(denied);
    await expect(elsewhere.list('')).rejects.toMatchObject(denied);
  });

  test('do no harm where etcd does not ask for them, and are shown once it does', async () => {
    const etcd = await startEtcd();
    const passwordFile = fileIn(etcd, 'password', PASSWORD);
    const store = await openWith({ endpoints: etcd.endpoints, user: 'agent', passwordFile, timeoutMs: 5000 });
    await store.put('a', 1);
    await etcd.enableAuthentication('agent', PASSWORD, PREFIX);
    expect((await store.get('a'))?.value).toBe(1);
  });

  test('a file that everybody may read, or that holds nothing, is refused', async () => {
    const open = (passwordFile: string) => openPart({ user: 'agent', passwordFile });
    for (const [file, code] of [
      [fileIn(shared, 'open', PASSWORD, 0o644), 'config.exposed'],
      [fileIn(shared, 'empty', '\n'), 'config.invalid'],
      [join(shared.folder, 'missing'), 'disk.failed'],
    ] as const) {
      const error = await open(file).catch((reason: Error) => reason);
      expect(error).toMatchObject({ code });
      expect((error as Error).message).toContain(file);
      expect((error as Error).message).not.toContain(PASSWORD);
    }
  });
});

/** For the tests that do nothing to it: one etcd, and a part of its own for each store. */
let shared: EtcdCluster;
let parts = 0;
beforeAll(async () => {
  shared = await EtcdCluster.start();
});
afterAll(() => shared.remove());

function openPart(options: Partial<EtcdStoreOptions> = {}): Promise<Store> {
  parts += 1;
  return openWith({ endpoints: shared.endpoints, prefix: `${PREFIX}${parts}/`, ...options });
}

describe('Rubbish in the place of etcd', () => {
  const kinds: readonly Rubbish[] = ['html', 'truncated', 'empty object', 'endless', 'nothing', 'another API'];
  test.each(kinds)('%s: an error in time, bounded, and another endpoint answers', async (kind) => {
    const rubbish = await RubbishServer.start(kind);
    endings.push(() => rubbish.close());
    const alone = await openWith({ endpoints: [rubbish.url], timeoutMs: 300 });
    await expect(alone.get('a')).rejects.toMatchObject(UNAVAILABLE);
    await expect(alone.list('')).rejects.toMatchObject(UNAVAILABLE);
    await expect(alone.compareAndSet('a', null, 1)).rejects.toMatchObject(UNAVAILABLE);
    expect(rubbish.largest).toBeLessThan(32 << 20);
    const store = await openPart({ endpoints: [rubbish.url, ...shared.endpoints] });
    const changes: StoreChange[] = [];
    store.watch('', (change) => changes.push(change), new AbortController().signal);
    expect(await store.get('a')).toBeUndefined();
    await store.put('a', 1);
    await until(() => changes.length === 1);
  });
});

describe('What is large, and what is left behind', () => {
  test('a list larger than a message comes in pages, and so does a watch of it', async () => {
    const store = await openPart({ timeoutMs: 10_000 });
    const value = 'x'.repeat(1_000_000);
    for (let key = 0; key < 12; key++) await store.put(`k${String(key).padStart(2, '0')}`, value);
    const listed = await store.list('');
    expect(listed.map(({ key }) => key)).toEqual(Array.from({ length: 12 }, (_, key) => `k${String(key).padStart(2, '0')}`));
    expect(listed.every((entry) => entry.value === value)).toBe(true);
    const seen: string[] = [];
    store.watch('', ({ key }) => seen.push(key), new AbortController().signal);
    await until(() => seen.length === 12);
  });

  test('a listener that throws does not keep others from hearing', async () => {
    const store = await openPart();
    const seen: unknown[] = [];
    const warned: unknown[] = [];
    const onWarning = (warning: Error) => warned.push(warning.message);
    process.on('warning', onWarning);
    endings.push(() => process.off('warning', onWarning));
    const thrower = () => {
      throw new Error('a listener failed');
    };
    store.watch('', thrower, new AbortController().signal);
    store.watch('', ({ current }) => seen.push(current?.value), new AbortController().signal);
    await store.put('a', 1);
    await until(() => seen.length === 1);
    await store.put('a', 2);
    await until(() => seen.length === 2 && warned.includes('a listener failed'));
  });

  test('a value that is not JSON is there and unreadable', async () => {
    const store = await openPart();
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    await shared.call('kv/put', { key: base64(`${PREFIX}${parts}/a`), value: base64('not JSON') });
    const found = await store.get('a');
    expect(found).toMatchObject({ value: undefined });
    expect(await store.compareAndSet('a', null, 1)).toMatchObject({ ok: false });
    expect(await store.compareAndSet('a', found?.version ?? null, 1)).toMatchObject({ ok: true });
  });

  test('a closed store leaves nothing that keeps its process alive', async () => {
    const program = `
      const { openEtcdStore } = await import(${JSON.stringify(new URL('./etcd-store.ts', import.meta.url).href)});
      const endpoints = ${JSON.stringify(shared.endpoints)};
      const store = await openEtcdStore({ endpoints, prefix: '/a/' });
      const heard = Promise.withResolvers();
      store.watch('', heard.resolve, new AbortController().signal);
      await store.put('a', 1, { ttlMs: 1000 });
      await heard.promise;
      const pending = store.get('a').catch(() => {});
      await store.close();
      await pending;
      process.stdout.write('closed');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    endings.push(() => child.kill('SIGKILL'));
    const [[output], [code]] = await Promise.all([once(child.stdout, 'data'), once(child, 'exit')]);
    expect([String(output), code]).toEqual(['closed', 0]);
  });
});
