import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { kubeconfigAccess } from './kubeconfig.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-kubeconfig-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode });
  return path;
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

interface Parts {
  readonly user?: unknown;
  readonly cluster?: Readonly<Record<string, unknown>>;
}

function write({ user = {}, cluster = {} }: Parts): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'one', user: 'me', namespace: 'apps' } }],
    clusters: [{ name: 'one', cluster: { server: 'https://127.0.0.1:6443', ...cluster } }],
    users: [{ name: 'me', user }],
  };
  return put('config', JSON.stringify(config));
}

async function credentials(parts: Parts) {
  return (await kubeconfigAccess({ file: write(parts) })).credentials.read();
}

/** A plugin that counts how often it was asked, and prints `text`. */
function plugin(text: string): { readonly command: string; readonly calls: () => Promise<number> } {
  const answer = put('answer.json', text);
  const log = join(folder, 'calls');
  const script = `#!/bin/sh\nprintf '%s|%s|%s\\n' "$KUBERNETES_EXEC_INFO" "$WHO" "$*" >> '${log}'\ncat '${answer}'\n`;
  put('plugin', script, 0o755);
  const calls = async () => (await readFile(log, 'utf8')).trim().split('\n').length;
  return { command: './plugin', calls };
}

const execOf = (command: string, more: object = {}) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command, ...more },
});
const credential = (status: object) =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status });

describe('A client certificate', () => {
  test('stands in the file, or in files beside it', async () => {
    put('client.crt', 'CERTIFICATE');
    put('client.key', 'KEY');
    put('ca.crt', 'CA');
    const expected = { certificate: 'CERTIFICATE', key: 'KEY', ca: 'CA' };
    const user = { 'client-certificate': 'client.crt', 'client-key': join(folder, 'client.key') };
    expect(await credentials({ user, cluster: { 'certificate-authority': 'ca.crt' } })).toMatchObject(expected);
    const inside = { 'client-certificate-data': base64('CERTIFICATE'), 'client-key-data': base64('KEY') };
    const cluster = { 'certificate-authority-data': base64('CA') };
    expect(await credentials({ user: inside, cluster })).toMatchObject(expected);
  });

  test('that is not there is told with both files', async () => {
    const user = { 'client-certificate': 'gone.crt', 'client-key': 'gone.key' };
    await expect(credentials({ user })).rejects.toMatchObject({
      code: 'kubernetes.noAccess',
      message: expect.stringMatching(/config: .*gone\.(crt|key)/s),
    });
  });
});

describe('A plugin', () => {
  test('is asked once for as long as its token lasts, with what it has to know', async () => {
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    const { command, calls } = plugin(credential({ token: 'drawn', expirationTimestamp }));
    const user = execOf(command, { args: ['get', 'token'], env: [{ name: 'WHO', value: 'me' }] });
    const { credentials: source } = await kubeconfigAccess({ file: write({ user }) });
    expect(await source.read()).toMatchObject({ token: 'drawn' });
    expect(await source.read()).toMatchObject({ token: 'drawn' });
    expect(await calls()).toBe(1);
    const [line = ''] = (await readFile(join(folder, 'calls'), 'utf8')).split('\n');
    const [info = '', who, args] = line.split('|');
    expect(JSON.parse(info)).toMatchObject({ kind: 'ExecCredential', spec: { interactive: false } });
    expect([who, args]).toEqual(['me', 'get token']);
  });

  test('is asked again when its token has run out', async () => {
    const { command, calls } = plugin(credential({ token: 'short', expirationTimestamp: new Date(0).toISOString() }));
    const { credentials: source } = await kubeconfigAccess({ file: write({ user: execOf(command) }) });
    await source.read();
    await source.read();
    expect(await calls()).toBe(2);
  });

  test('may give a certificate', async () => {
    const { command } = plugin(credential({ clientCertificateData: 'CERTIFICATE', clientKeyData: 'KEY' }));
    expect(await credentials({ user: execOf(command) })).toMatchObject({ certificate: 'CERTIFICATE', key: 'KEY' });
  });

  test('that prints something else is told, without what it printed, and with its own hint', async () => {
    const { command } = plugin('token: hidden');
    const failure = await credentials({ user: execOf(command, { installHint: 'install it so' }) }).catch((error: Error) => error);
    expect(failure).toMatchObject({ code: 'kubernetes.noAccess' });
    const { message } = failure as Error;
    expect(message).toContain('printed no ExecCredential');
    expect(message).toContain('install it so');
    expect(message).not.toContain('hidden');
  });

  test('that is not there is told by its name', async () => {
    await expect(credentials({ user: execOf('./no-such-plugin') })).rejects.toMatchObject({
      code: 'kubernetes.noAccess',
      message: expect.stringContaining('./no-such-plugin'),
    });
  });
});

test('a token comes from a file that may change', async () => {
  const path = put('token', 'first\n');
  const { credentials: source } = await kubeconfigAccess({ file: write({ user: { tokenFile: path } }) });
  expect(await source.read()).toMatchObject({ token: 'first' });
  put('token', 'second\n');
  expect(await source.read()).toMatchObject({ token: 'second' });
});

test.each([
  ['proxy-url', { cluster: { 'proxy-url': 'http://proxy:3128' } }],
  ['username with password', { user: { username: 'me', password: 'secret' } }],
  ['auth-provider', { user: { 'auth-provider': { name: 'oidc' } } }],
])('%s is refused by name', async (what, parts) => {
  await expect(kubeconfigAccess({ file: write(parts) })).rejects.toMatchObject({
    code: 'kubernetes.noAccess',
    message: expect.stringContaining(`${what} is not supported`),
  });
});
