import { once } from 'node:events';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import type { TestServer } from '#adapters/postgres/testing/test-server.ts';
import {
  readAuthentication,
  readBackendKeyData,
  readDataRow,
  readErrorFields,
  readNegotiation,
  readParameterStatus,
  readReadyStatus,
} from './decode-backend.ts';
import { passwordMessage, query, saslInitialResponse, saslResponse, sslRequest, startupMessage } from './encode-frontend.ts';
import { tlsServerEndPoint } from './end-point-hash.ts';
import { md5Answer, md5Hash } from './md5.ts';
import { BACKEND } from './message-types.ts';
import { ScramClient, type ScramSecret } from './scram-client.ts';
import { ScramServer } from './scram-server.ts';
import { parseScramVerifier, type ScramVerifier } from './scram-verifier.ts';
import { FrameChannel } from './testing/frame-channel.ts';

const PASSWORD = 'I\u00ad\u2168-geheim';
const byPassword: ScramSecret = { kind: 'password', password: PASSWORD };
let servers: TestServers;
let primary: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
  primary = await servers.primary('n1');
  await primary.sql(`CREATE ROLE app LOGIN PASSWORD '${PASSWORD}'`);
  await primary.sql(`CREATE ROLE old LOGIN PASSWORD '${md5Hash(PASSWORD, 'old')}'`);
  const { accessFile } = primary.layout;
  const rules = readFileSync(accessFile, 'utf8');
  writeFileSync(accessFile, 'local all old md5\nhostssl all old all md5\n');
  appendFileSync(accessFile, rules);
  await primary.reload();
});
afterAll(() => servers.end());

async function bySocket(): Promise<Duplex> {
  const socket = connect(`${primary.layout.socketDir}/.s.PGSQL.${primary.options.port}`);
  await once(socket, 'connect');
  return socket;
}

async function overTls(): Promise<{ stream: Duplex; binding: Buffer | null }> {
  const socket = connect(primary.options.port, primary.options.host);
  socket.write(sslRequest());
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toBe('S');
  const secure = connectTls({ socket, ca: primary.options.tls.ca, host: primary.options.host });
  await once(secure, 'secureConnect');
  return { stream: secure, binding: tlsServerEndPoint(secure.getPeerCertificate(true).raw) };
}

interface Login {
  readonly user: string;
  readonly secret: ScramSecret | { readonly kind: 'md5'; readonly hash: string };
  readonly binding?: Buffer | null;
  readonly minor?: number;
}

/** Logs in and asks for `SELECT current_user`; what it learnt on the way, or the error's SQLSTATE and message. */
async function login(stream: Duplex, { user, secret, binding = null, minor = 0 }: Login) {
  const channel = new FrameChannel(stream);
  const seen = { mechanism: '', parameters: new Map<string, string>(), secretBytes: 0, negotiated: -1, user: '', error: '' };
  let scram: ScramClient | undefined;
  const said = (message: Buffer) => ['C', 'M'].map((letter) => readErrorFields(message)?.get(letter)).join(': ');
  channel.send(startupMessage(Object.entries({ user, database: 'postgres' }), minor));
  for (;;) {
    const message = await channel.next();
    const request = readAuthentication(message);
    if (request?.kind === 'md5' && secret.kind === 'md5') channel.send(passwordMessage(md5Answer(secret.hash, request.salt)));
    else if (request?.kind === 'sasl' && secret.kind !== 'md5') {
      scram = new ScramClient({ secret, mechanisms: request.mechanisms, channelBinding: binding });
      const first = scram.first();
      seen.mechanism = first?.mechanism ?? '';
      if (first !== undefined) channel.send(saslInitialResponse(first.mechanism, first.data));
    } else if (request?.kind === 'saslContinue') {
      const answer = await scram?.continue(request.data);
      if (!answer?.ok) return { ...seen, error: answer?.reason ?? '' };
      channel.send(saslResponse(answer.data));
    } else if (request?.kind === 'saslFinal') expect(scram?.verify(request.data)).toBe(true);
    else if (message[0] === BACKEND.errorResponse) return { ...seen, error: said(message) };
    else if (message[0] === BACKEND.negotiateProtocolVersion) seen.negotiated = readNegotiation(message)?.minor ?? -2;
    else if (message[0] === BACKEND.backendKeyData) seen.secretBytes = readBackendKeyData(message)?.secret.length ?? 0;
    else if (message[0] === BACKEND.parameterStatus) {
      const { name, value } = readParameterStatus(message) ?? { name: '', value: '' };
      seen.parameters.set(name, value);
    } else if (readReadyStatus(message) === 'I') break;
  }
  channel.send(query('SELECT current_user'));
  for (let message = await channel.next(); readReadyStatus(message) === undefined; message = await channel.next()) {
    if (message[0] === BACKEND.dataRow) seen.user = readDataRow(message)?.[0] ?? '';
  }
  channel.end();
  return seen;
}

test('by password, with SCRAM', async () => {
  const seen = await login(await bySocket(), { user: 'app', secret: byPassword });
  expect(seen).toMatchObject({ mechanism: 'SCRAM-SHA-256', user: 'app', error: '', secretBytes: 4, negotiated: -1 });
  expect(seen.parameters.get('server_version')).toMatch(/^15\./);
});

test('by password over TLS, with -PLUS', async () => {
  const { stream, binding } = await overTls();
  expect(binding).toHaveLength(32);
  const seen = await login(stream, { user: 'app', secret: byPassword, binding });
  expect(seen).toMatchObject({ mechanism: 'SCRAM-SHA-256-PLUS', user: 'app', error: '' });
});

test("another certificate's binding, and another password, are refused", async () => {
  const { stream } = await overTls();
  const bound = await login(stream, { user: 'app', secret: byPassword, binding: Buffer.alloc(32) });
  expect(bound.error).toBe('28000: SCRAM channel binding check failed');
  const wrong = await login(await bySocket(), { user: 'app', secret: { kind: 'password', password: 'other' } });
  expect(wrong.error).toBe('28P01: password authentication failed for user "app"');
});

test('by an md5 verifier', async () => {
  const secret = { kind: 'md5', hash: md5Hash(PASSWORD, 'old') } as const;
  expect(await login(await bySocket(), { user: 'old', secret })).toMatchObject({ user: 'old', error: '' });
  const { stream } = await overTls();
  expect(await login(stream, { user: 'old', secret })).toMatchObject({ user: 'old', error: '' });
});

test('a server of 3.0 says so to who asks for 3.2', async () => {
  expect(await login(await bySocket(), { user: 'app', secret: byPassword, minor: 2 })).toMatchObject({
    negotiated: 0,
    user: 'app',
  });
});

/** The key that a client of ours shows, whose password we never see. */
async function learnKey(verifier: ScramVerifier): Promise<Buffer> {
  const client = new ScramClient({ secret: byPassword, mechanisms: ['SCRAM-SHA-256'], channelBinding: null });
  const options = { verifier, mockSecret: Buffer.alloc(32), user: 'app', channelBinding: null };
  const server = new ScramServer({ ...options, mechanism: 'SCRAM-SHA-256' });
  const first = server.first(client.first()?.data ?? Buffer.alloc(0));
  const answer = first.ok ? await client.continue(first.data) : first;
  const final = answer.ok ? server.final(answer.data) : answer;
  if (!final.ok) throw new Error(final.message);
  return final.clientKey;
}

async function storedVerifier(): Promise<ScramVerifier> {
  const verifier = parseScramVerifier(await primary.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'"));
  if (verifier === undefined) throw new Error('the role has no SCRAM verifier');
  return verifier;
}

test('by the key that a client has shown, until the password changes', async () => {
  const verifier = await storedVerifier();
  const secret: ScramSecret = { kind: 'clientKey', clientKey: await learnKey(verifier), verifier };
  expect(await login(await bySocket(), { user: 'app', secret })).toMatchObject({ mechanism: 'SCRAM-SHA-256', user: 'app' });
  const { stream, binding } = await overTls();
  expect(await login(stream, { user: 'app', secret, binding })).toMatchObject({ mechanism: 'SCRAM-SHA-256-PLUS', user: 'app' });
  await primary.sql(`ALTER ROLE app PASSWORD '${PASSWORD}'`);
  expect(await login(await bySocket(), { user: 'app', secret })).toMatchObject({ error: 'otherVerifier' });
});
