import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Authority, createAuthority, issueCertificate } from './authority.ts';
import { checkIdentity, summarize } from './check-identity.ts';
import { watchIdentity } from './identity-watch.ts';
import { readTlsFiles, type TlsIdentity, tlsPaths, writeTlsFiles } from './tls-files.ts';

let old: Authority;
let next: Authority;
let folder: string;
let stop: AbortController;
const issue = (authority: Authority, name = 'n1') => issueCertificate(authority, { name, hosts: ['127.0.0.1'] });

beforeAll(async () => {
  [old, next] = await Promise.all([createAuthority({ cluster: 'old' }), createAuthority({ cluster: 'next' })]);
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-identity-'));
  stop = new AbortController();
  await writeTlsFiles(folder, old, await issue(old));
});
afterEach(() => {
  stop.abort();
  rmSync(folder, { recursive: true });
});

/** What the watch does, one event after the other. */
async function watch(refuseFirst = 0) {
  const events: string[] = [];
  let wake = Promise.withResolvers<void>();
  const happened = (event: string) => {
    events.push(event);
    wake.resolve();
  };
  let refusals = refuseFirst;
  void watchIdentity({
    folder,
    name: 'n1',
    current: await readTlsFiles(folder),
    apply: async (identity: TlsIdentity) => {
      if (refusals-- > 0) {
        happened('not yet');
        throw new Error('the server does not answer');
      }
      happened(`uses ${summarize(identity).certificate}`);
    },
    onRefused: (why) => happened(`refuses: ${why}`),
    signal: stop.signal,
    everyMs: 5,
  });
  return async () => {
    while (events.length === 0) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
    return events.shift();
  };
}

test('a new pair is used, and one that could not be put to use is tried again', async () => {
  const event = await watch(2);
  const issued = await issue(old);
  await writeTlsFiles(folder, old, issued);
  const { certificate } = summarize(await readTlsFiles(folder));
  expect([await event(), await event(), await event()]).toEqual(['not yet', 'not yet', `uses ${certificate}`]);
});

test('files that do not belong together are refused once, and mended ones used', async () => {
  const event = await watch();
  const issued = await issue(old);
  writeFileSync(tlsPaths(folder).certificate, issued.certificate);
  expect(await event()).toContain('member.key is not the key of member.crt');
  writeFileSync(tlsPaths(folder).key, issued.key);
  expect(await event()).toBe(`uses ${summarize(await readTlsFiles(folder)).certificate}`);
});

test('one authority takes the place of the other in three stages', async () => {
  const event = await watch();
  const both = `${old.certificate}${next.certificate}`;
  writeFileSync(tlsPaths(folder).ca, both);
  expect(await event()).toMatch(/^uses /);
  expect(summarize(await readTlsFiles(folder)).authorities).toHaveLength(2);
  await writeTlsFiles(folder, { certificate: both }, await issue(next));
  expect(await event()).toMatch(/^uses /);
  writeFileSync(tlsPaths(folder).ca, next.certificate);
  expect(await event()).toMatch(/^uses /);
});

const pair = async (authority: Authority, name?: string): Promise<TlsIdentity> => ({
  ca: old.certificate,
  ...(await issue(authority, name)),
});

test.each([
  ['of an authority that is not trusted', () => pair(next), 'no authority in ca.crt has signed member.crt'],
  ['of another member', () => pair(old, 'n2'), 'not of n1'],
  [
    'cut off',
    async () => ({ ...(await pair(old)), certificate: (await pair(old)).certificate.slice(0, 200) }),
    'member.crt is damaged',
  ],
  ['without a key', async () => ({ ...(await pair(old)), key: '' }), 'member.key is damaged'],
  ['without an authority', async () => ({ ...(await pair(old)), ca: '' }), 'ca.crt is damaged'],
])('a certificate %s', async (_, make, why) => {
  const identity = await make();
  expect(() => checkIdentity(identity, 'n1')).toThrow(
    expect.objectContaining({ code: 'tls.invalid', message: expect.stringContaining(why) }),
  );
});

test('a certificate that has run out, or is not valid yet', async () => {
  const identity = await pair(old);
  expect(() => checkIdentity(identity, 'n1')).not.toThrow();
  expect(() => checkIdentity(identity, 'n1', new Date(Date.now() + 366 * 86_400_000))).toThrow('has run out');
  expect(() => checkIdentity(identity, 'n1', new Date(Date.now() - 2 * 86_400_000))).toThrow('is not valid before');
});
