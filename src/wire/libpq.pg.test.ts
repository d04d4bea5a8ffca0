import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { BIN } from '#adapters/postgres/testing/test-server.ts';
import { readQuery, readSaslInitial, readSaslResponse } from './decode-frontend.ts';
import * as encode from './encode-backend.ts';
import { tlsServerEndPoint } from './end-point-hash.ts';
import { readStartup } from './read-startup.ts';
import { ScramServer } from './scram-server.ts';
import { buildAnyScramVerifier, parseScramVerifier } from './scram-verifier.ts';
import { FrameChannel } from './testing/frame-channel.ts';
import { ECDSA_SHA384, ED25519, PSS_SHA512, type SelfSigned, selfSigned } from './testing/self-signed.ts';

const PASSWORD = 'I\u00ad\u2168-geheim';
const VERIFIER = parseScramVerifier(await buildAnyScramVerifier(PASSWORD)) ?? null;

/** What a server may say of itself: with a certificate it offers TLS, and -PLUS unless it is told not to. */
interface Face {
  readonly certificate?: SelfSigned;
  readonly plus?: boolean;
  /** The certificate that the binding is made of: another one is what a stranger between the two would have. */
  readonly bound?: SelfSigned;
}

let server: Server | undefined;
let ended: Promise<unknown>[] = [];

afterEach(async () => {
  server?.close();
  await Promise.all(ended);
  ended = [];
});

/** A server that knows the role `app`, and answers every query with who is there and by which mechanism. */
async function serve(face: Face): Promise<number> {
  server = createServer((socket) => {
    ended.push(converse(socket, face).catch((error: unknown) => socket.destroy(error as Error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function readPacket(stream: Duplex) {
  const [bytes] = (await once(stream, 'data')) as [Buffer];
  return readStartup(bytes);
}

async function converse(socket: Socket, face: Face): Promise<void> {
  socket.on('error', () => {});
  let stream: Duplex = socket;
  let startup = await readPacket(stream);
  while (startup.kind === 'ssl' || startup.kind === 'gss') {
    const { certificate } = face;
    const secure = startup.kind === 'ssl' && certificate !== undefined;
    socket.pause();
    socket.write(secure ? 'S' : 'N');
    if (secure) stream = new TLSSocket(socket, { isServer: true, cert: certificate.certificate, key: certificate.key });
    else socket.resume();
    startup = await readPacket(stream);
  }
  if (startup.kind !== 'startup') return void stream.end();
  await session(new FrameChannel(stream), startup.parameters.get('user') ?? '', stream instanceof TLSSocket, face);
}

async function session(channel: FrameChannel, user: string, secure: boolean, face: Face): Promise<void> {
  const bound = secure && face.plus !== false ? (face.bound ?? face.certificate) : undefined;
  const channelBinding = bound === undefined ? null : tlsServerEndPoint(bound.der);
  channel.send(encode.authenticationSasl(channelBinding === null ? ['SCRAM-SHA-256'] : ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']));
  const { mechanism = '', data } = readSaslInitial(await channel.next()) ?? {};
  const verifier = user === 'app' ? VERIFIER : null;
  const scram = new ScramServer({ verifier, mockSecret: Buffer.alloc(32), user, mechanism, channelBinding });
  const first = scram.first(data ?? Buffer.alloc(0));
  if (first.ok) channel.send(encode.authenticationSaslContinue(first.data));
  const final = first.ok ? scram.final(readSaslResponse(await channel.next()) ?? Buffer.alloc(0)) : first;
  if (!final.ok) {
    const { code, message, detail } = final;
    channel.send(encode.errorResponse({ severity: 'FATAL', code, message, detail }));
    return channel.end();
  }
  channel.send(encode.authenticationSaslFinal(final.data), encode.authenticationOk());
  channel.send(encode.parameterStatus('server_version', '15.0'), encode.parameterStatus('client_encoding', 'UTF8'));
  channel.send(encode.backendKeyData(7, Buffer.alloc(4)), encode.readyForQuery('I'));
  for (let text = readQuery(await channel.next()); text !== undefined; text = readQuery(await channel.next())) {
    const columns = ['user', 'mechanism'].map((name) => ({ name, typeOid: 25 }));
    channel.send(encode.rowDescription(columns), encode.dataRow([user, mechanism]));
    channel.send(encode.commandComplete('SELECT 1'), encode.readyForQuery('I'));
  }
  channel.end();
}

/** What psql prints: a row, or why not. */
function psql(port: number, settings: string, password = PASSWORD, user = 'app'): Promise<string> {
  const connection = `host=127.0.0.1 port=${port} user=${user} dbname=orders gssencmode=disable ${settings}`;
  const env = { PATH: process.env.PATH, PGPASSWORD: password, LC_ALL: 'C.UTF-8', HOME: '/nonexistent' };
  return new Promise((resolve) => {
    execFile(join(BIN, 'psql'), ['-XAtw', '-c', 'SELECT', connection], { env }, (_, output, complaint) => {
      resolve(`${output}${complaint}`.trim());
    });
  });
}

test('libpq gets in, without TLS', async () => {
  const port = await serve({});
  expect(await psql(port, 'sslmode=prefer')).toBe('app|SCRAM-SHA-256');
});

test.each([
  ['ECDSA with SHA-384', ECDSA_SHA384],
  ['RSASSA-PSS with SHA-512', PSS_SHA512],
])('libpq gets in with -PLUS: %s', async (_, algorithm) => {
  const port = await serve({ certificate: await selfSigned(algorithm) });
  expect(await psql(port, 'sslmode=require channel_binding=require')).toBe('app|SCRAM-SHA-256-PLUS');
  expect(await psql(port, 'sslmode=require')).toBe('app|SCRAM-SHA-256-PLUS');
  expect(await psql(port, 'sslmode=require channel_binding=disable')).toBe('app|SCRAM-SHA-256');
});

test('libpq gets in where nobody offers -PLUS, as with a certificate of Ed25519', async () => {
  const port = await serve({ certificate: await selfSigned(ED25519) });
  expect(await psql(port, 'sslmode=require')).toBe('app|SCRAM-SHA-256');
  expect(await psql(port, 'sslmode=require channel_binding=require')).toMatch(/channel binding is required/);
});

test("a stranger's certificate between the two is noticed", async () => {
  const port = await serve({ certificate: await selfSigned(ECDSA_SHA384), bound: await selfSigned(ECDSA_SHA384) });
  expect(await psql(port, 'sslmode=require')).toMatch(/FATAL: {2}SCRAM channel binding check failed/);
});

test('another password, and a role that does not exist, are refused in the same words', async () => {
  const port = await serve({});
  expect(await psql(port, '', 'other')).toMatch(/FATAL: {2}password authentication failed for user "app"/);
  expect(await psql(port, '', PASSWORD, 'nobody')).toMatch(/FATAL: {2}password authentication failed for user "nobody"/);
});
