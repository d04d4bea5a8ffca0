// Encryption on both sides: how it is asked for, what is refused, whom a certificate stands for, and renewal without a restart.
import { once } from 'node:events';
import { join } from 'node:path';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runTool } from '#adapters/postgres/tool.ts';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import type { ClientTls } from '#programs/proxy/proxy.ts';
import { readErrorFields } from '#wire/decode-backend.ts';
import { sslRequest, startupMessage } from '#wire/encode-frontend.ts';
import { FrameChannel } from '#wire/testing/frame-channel.ts';
import { ECDSA_SHA384, RSA, type SelfSigned, selfSigned } from '#wire/testing/self-signed.ts';
import { type Login, POSTGRES_BIN, writeFor } from '../support/plain-server.ts';
import { Front, type ProxyInFront, until } from '../support/proxy-front.ts';

type Authority = Awaited<ReturnType<typeof createAuthority>>;
const GSS_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 48]);
const N = 0x4e;
const S = 0x53;

let front: Front;
let first: SelfSigned;
let second: SelfSigned;
let login: Login;
beforeAll(async () => {
  [first, second] = await Promise.all([
    selfSigned({ ...RSA, name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }),
    selfSigned(ECDSA_SHA384),
  ]);
  front = await Front.start({ tls: first });
  login = await front.server.addLogin('app');
});
afterEach(() => front.endProxies());
afterAll(() => front?.end());

function tls(shown: SelfSigned, clientCa?: string): ClientTls {
  return { certificate: shown.certificate, key: shown.key, ...(clientCa === undefined ? {} : { clientCa }) };
}

async function psql({ port }: ProxyInFront, settings: string): Promise<string> {
  const passwordFile = writeFor(undefined, join(front.folder, 'pgpass'), `*:*:*:${login.user}:${login.password}\n`);
  const ran = await runTool({
    program: join(POSTGRES_BIN, 'psql'),
    args: ['-XAtc', "SELECT 'in'", `host=127.0.0.1 port=${port} user=${login.user} dbname=postgres ${settings}`],
    owner: undefined,
    cwd: front.folder,
    env: { PGPASSFILE: passwordFile },
  });
  return ran.code === 0 ? ran.stdout.trim() : ran.stderr;
}

test('libpq in each of its modes, with channel binding where there is TLS', async () => {
  const caFile = writeFor(undefined, join(front.folder, 'ca.crt'), first.certificate);
  const offering = await front.proxy({ clientTls: () => tls(first) });
  for (const settings of [
    'sslmode=disable',
    'sslmode=prefer',
    'sslmode=require channel_binding=require',
    `sslmode=verify-full sslrootcert=${caFile} channel_binding=require`,
  ])
    expect(await psql(offering, settings), settings).toBe('in');
  const requiring = await front.proxy({ tlsMode: 'require', clientTls: () => tls(first) });
  expect(await psql(requiring, 'sslmode=disable')).toContain('TLS only');
  expect(await psql(requiring, 'sslmode=require')).toBe('in');
  const disabled = await front.proxy({ tlsMode: 'disable', clientTls: () => tls(first) });
  expect(await psql(disabled, 'sslmode=require')).toContain('server does not support SSL');
  expect(await psql(disabled, 'sslmode=prefer')).toBe('in');
});

test('GSS is declined, then TLS is taken; each only once', async () => {
  const proxy = await front.proxy({ clientTls: () => tls(first) });
  const socket = proxy.socket();
  socket.write(GSS_REQUEST);
  expect((await once(socket, 'data'))[0]).toEqual(Buffer.of(N));
  socket.write(sslRequest());
  expect((await once(socket, 'data'))[0]).toEqual(Buffer.of(S));
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, 'secureConnect');
  const channel = new FrameChannel(secure);
  // Encryption within encryption is nothing that PostgreSQL knows.
  channel.send(sslRequest());
  expect(readErrorFields(await channel.next())?.get('C')).toBe('08P01');
  await expect(channel.next()).rejects.toThrow();
  const { channel: greedy, socket: again } = proxy.channel();
  again.write(GSS_REQUEST);
  await once(again, 'data');
  again.write(GSS_REQUEST);
  await expect(greedy.next()).rejects.toThrow();
});

test('bytes that came before the encryption are refused', async () => {
  const proxy = await front.proxy({ clientTls: () => tls(first) });
  const { channel } = proxy.channel();
  channel.send(sslRequest(), startupMessage([['user', login.user]]));
  expect(readErrorFields(await channel.next())?.get('C')).toBe('08P01');
  await expect(channel.next()).rejects.toThrow();
});

async function direct({ port }: ProxyInFront, options: ConnectionOptions): Promise<TLSSocket> {
  const secure = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options });
  secure.on('error', () => {});
  await once(secure, 'secureConnect');
  return secure;
}

test('direct TLS takes the protocol postgresql, and is refused where TLS is not offered', async () => {
  const proxy = await front.proxy({ clientTls: () => tls(first) });
  const secure = await direct(proxy, { ALPNProtocols: ['postgresql'] });
  expect(secure.alpnProtocol).toBe('postgresql');
  const channel = new FrameChannel(secure);
  channel.send(startupMessage([['user', login.user]]));
  expect((await channel.next())[0]).toBe(0x52);
  secure.destroy();
  const without = await direct(proxy, {}).catch(() => undefined);
  if (without !== undefined) await until(() => expect(without.destroyed).toBe(true));
  await expect(direct(proxy, { ALPNProtocols: ['http/1.1'] })).rejects.toThrow();
  const disabled = await front.proxy({ tlsMode: 'disable' });
  await expect(direct(disabled, { ALPNProtocols: ['postgresql'] })).rejects.toThrow();
});

async function certificateOf(authority: Authority, name: string): Promise<{ cert: string; key: string }> {
  const { certificate, key } = await issueCertificate(authority, { name: name as never, hosts: [] });
  return { cert: certificate, key };
}

test('a certificate whose common name is the role stands for its password', async () => {
  const [ours, theirs] = await Promise.all([createAuthority({ cluster: 'ours' }), createAuthority({ cluster: 'theirs' })]);
  const proxy = await front.proxy({ clientTls: () => tls(first, ours.certificate) });
  const attempt = async (ssl: object, password = 'none') =>
    proxy.attempt({ user: login.user, password }, { ssl: { rejectUnauthorized: false, ...ssl } });
  const mine = await certificateOf(ours, login.user);
  // The proxy itself has no certificate for the servers here: somebody has to have shown it the key of the role.
  expect(await attempt(mine)).toContain(`28000 the proxy cannot act as role "${login.user}"`);
  expect(await attempt({}, login.password)).toBe('ok');
  expect(await attempt(mine)).toBe('ok');
  expect(await attempt(await certificateOf(ours, 'other'))).toContain('28P01');
  expect(await attempt(await certificateOf(theirs, login.user))).toContain('28P01');
  // Who shows a certificate that stands for nobody is still let in by a password.
  expect(await attempt(await certificateOf(theirs, login.user), login.password)).toBe('ok');
  await front.server.sql(`ALTER ROLE ${login.user} NOLOGIN`);
  await until(async () => expect(await attempt(mine)).toContain('28000 role "app" is not permitted to log in'));
  await front.server.sql(`ALTER ROLE ${login.user} LOGIN`);
  await until(async () => expect(await attempt(mine)).toBe('ok'));
});

test('a renewed certificate is shown to new connections, and old ones go on', async () => {
  let shown = tls(first);
  const proxy = await front.proxy({ clientTls: () => shown });
  const open = await proxy.client(login, { ssl: { ca: first.certificate } });
  shown = tls(second);
  expect(await proxy.attempt(login, { ssl: { ca: first.certificate } })).toContain('certificate');
  expect(await proxy.attempt(login, { ssl: { ca: second.certificate } })).toBe('ok');
  expect(await psql(proxy, 'sslmode=require channel_binding=require')).toBe('in');
  expect((await open.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  // The same certificate with a key that does not fit cannot be used; those who come are served with what was good.
  shown = { ...tls(first), key: second.key };
  expect(await proxy.attempt(login, { ssl: { ca: second.certificate } })).toBe('ok');
  await open.end();
});

test('to the servers: encrypted, and only to those whose certificate is good', async () => {
  const encrypted = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  const verified = await front.proxy({ serverTls: () => ({ ca: first.certificate }) });
  const client = await verified.client(login);
  expect((await client.query(encrypted)).rows).toEqual([{ ssl: true }]);
  await client.end();
  const unverified = await front.proxy({ serverTls: () => ({}) });
  const other = await unverified.client(login);
  expect((await other.query(encrypted)).rows).toEqual([{ ssl: true }]);
  // Large results and parameters over both encryptions.
  const { rows } = await other.query("SELECT repeat('x', 3000000) AS x, length($1) AS given", ['y'.repeat(3_000_000)]);
  expect([rows[0].x.length, rows[0].given]).toEqual([3_000_000, 3_000_000]);
  await other.end();
  const misled = await front.proxy({ timeouts: { holdMs: 500 }, serverTls: () => ({ ca: second.certificate }) });
  expect(await misled.attempt(login)).toContain('57P03');
});

test('large results and parameters through TLS on both sides', async () => {
  const proxy = await front.proxy({ clientTls: () => tls(first), serverTls: () => ({ ca: first.certificate }) });
  const client = await proxy.client(login, { ssl: { ca: first.certificate } });
  const texts = Array.from({ length: 40 }, (_, i) => String.fromCharCode(97 + (i % 26)).repeat(50_000 + i * 1000));
  const { rows } = await client.query('SELECT t FROM unnest($1::text[]) t', [texts]);
  expect(rows.map(({ t }) => t)).toEqual(texts);
  await client.end();
});
