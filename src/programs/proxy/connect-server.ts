import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { ServerAddress } from '#domain/ports/topology.ts';
import { readAuthentication, readBackendKeyData, readErrorFields, readParameterStatus } from '#wire/decode-backend.ts';
import { passwordMessage, saslInitialResponse, saslResponse, sslRequest, startupMessage } from '#wire/encode-frontend.ts';
import { tlsServerEndPoint } from '#wire/end-point-hash.ts';
import { FrameReader } from '#wire/frame-reader.ts';
import { md5Answer } from '#wire/md5.ts';
import { BACKEND } from '#wire/message-types.ts';
import { ScramClient } from '#wire/scram-client.ts';
import type { ScramVerifier } from '#wire/scram-verifier.ts';
import { Reported } from './reported.ts';
import { type Receive, readInto } from './shared-buffer.ts';

/** How the proxy shows a server that it may act as a role. Secret. */
export type Credential =
  /** Of a client that has logged in with its password. */
  | { readonly kind: 'clientKey'; readonly clientKey: Buffer; readonly verifier: ScramVerifier }
  | { readonly kind: 'md5'; readonly hash: string }
  | { readonly kind: 'certificate' };

export interface ServerTls {
  /** PEM of the authorities that sign the servers' certificates. Absent: TLS without a check. */
  readonly ca?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface ConnectOptions {
  readonly address: ServerAddress;
  readonly role: string;
  readonly database: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly credential: Credential;
  readonly tls: ServerTls | null;
  /** Of TCP and TLS; the login itself may take ten times as long. */
  readonly connectTimeoutMs: number;
  /** Aborted: the connection is of no use any more. A server that hangs would hold its place for seconds. */
  readonly signal: AbortSignal;
}

export interface LoggedIn {
  readonly socket: Socket;
  readonly pid: number;
  readonly secret: Buffer;
  readonly reported: Reported;
  /** From now on what arrives goes there. */
  handTo(receive: Receive): void;
}

/** The server refused the login. `fields`: its error. */
export class LoginRefused extends Error {
  readonly fields: ReadonlyMap<string, string>;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get('M') ?? 'the server refused the login');
    this.fields = fields;
  }

  /** By pg_hba.conf, which lets nobody in where a member does not lead; not for what the role is. */
  get isByAccessRules(): boolean {
    return this.fields.get('C') === '28000' && this.fields.get('R') === 'ClientAuthentication';
  }
}

const MAX_LOGIN_FRAME_BYTES = 64 * 1024;
const LOGIN_PATIENCE = 10;
const OUTDATED = 'its server is not the primary any more';

/** Opens a connection and logs in. Rejects with `LoginRefused`, or with what happened to the network. */
export async function connectServer(options: ConnectOptions): Promise<LoggedIn> {
  let receive: Receive = () => {};
  const sink: Receive = (bytes, length) => receive(bytes, length);
  const socket = await openSocket(options, sink);
  const abandon = () => socket.destroy(new Error(OUTDATED));
  options.signal.addEventListener('abort', abandon);
  const incoming = new Incoming(socket);
  receive = (bytes, length) => incoming.receive(bytes, length);
  const timer = setTimeout(() => socket.destroy(new Error('the login took too long')), options.connectTimeoutMs * LOGIN_PATIENCE);
  try {
    const { role, database, parameters } = options;
    if (options.signal.aborted) throw new Error(OUTDATED);
    socket.write(startupMessage([...parameters, ['user', role], ['database', database]]));
    await authenticate(options, socket, incoming);
    const facts = await greet(incoming);
    return {
      ...facts,
      socket,
      handTo: (next) =>
        incoming.handTo(next, (now) => {
          receive = now;
        }),
    };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', abandon);
  }
}

async function openSocket(
  { address, tls, connectTimeoutMs, credential, signal }: ConnectOptions,
  sink: Receive,
): Promise<Socket> {
  const local = address.socketDir !== undefined && credential.kind !== 'certificate';
  const target = local
    ? { path: join(address.socketDir ?? '', `.s.PGSQL.${address.port}`) }
    : { host: address.host, port: address.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 };
  const plain = local || tls === null;
  const socket = connect(plain ? { ...target, ...readInto(sink) } : target);
  const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${connectTimeoutMs} ms`)), connectTimeoutMs);
  const abandon = () => socket.destroy(new Error(OUTDATED));
  signal.addEventListener('abort', abandon);
  try {
    await once(socket, 'connect');
    if (plain || tls === null) return socket;
    return await encrypt(socket, tls, address, sink);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abandon);
  }
}

async function encrypt(socket: Socket, tls: ServerTls, address: ServerAddress, sink: Receive): Promise<TLSSocket> {
  socket.write(sslRequest());
  const [answer] = (await once(socket, 'data')) as [Buffer];
  if (answer.length !== 1 || answer[0] !== ACCEPTS_TLS) {
    socket.destroy();
    throw new Error(`${address.name} offers no TLS`);
  }
  const secure = connectTls({
    socket,
    ...(tls.ca === undefined ? { rejectUnauthorized: false } : { ca: tls.ca }),
    ...(tls.certificate === undefined ? {} : { cert: tls.certificate, key: tls.key }),
    // Whoever shows a certificate of the cluster's authority is a member of it, whatever address it is reached at.
    checkServerIdentity: () => undefined,
    minVersion: 'TLSv1.2',
  });
  await once(secure, 'secureConnect');
  secure.on('data', (chunk: Buffer) => sink(chunk, chunk.length));
  return secure;
}

const ACCEPTS_TLS = 0x53;

function once(socket: Socket, event: string): Promise<unknown[]> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown[]>();
  const done = (...values: unknown[]) => {
    socket.off('error', failed);
    socket.off('close', closed);
    resolve(values);
  };
  const failed = (error: Error) => reject(error);
  const closed = () => reject(new Error('the connection was closed'));
  socket.once(event, done);
  socket.once('error', failed);
  socket.once('close', closed);
  return promise;
}

/** Messages of the login, one after the other. */
class Incoming {
  readonly #reader = new FrameReader(MAX_LOGIN_FRAME_BYTES);
  readonly #frames: Buffer[] = [];
  readonly #socket: Socket;
  #waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void } | null = null;
  #ended: Error | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
    const end = (error?: Error) => {
      this.#ended ??= error ?? new Error('the server closed the connection');
      this.#waiting?.reject(this.#ended);
      this.#waiting = null;
    };
    socket.on('error', end);
    socket.on('close', () => end());
    socket.on('end', () => end());
  }

  receive(bytes: Buffer, length: number): void {
    const frames = this.#reader.push(bytes.subarray(0, length));
    if (frames === null) return void this.#socket.destroy(new Error('the server sent a message of an impossible length'));
    this.#frames.push(...frames);
    const next = this.#waiting === null ? undefined : this.#frames.shift();
    if (next === undefined) return;
    this.#waiting?.resolve(next);
    this.#waiting = null;
  }

  next(): Promise<Buffer> {
    const frame = this.#frames.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    this.#waiting = { resolve, reject };
    return promise;
  }

  /** What came with the last message of the login belongs to the session. */
  handTo(receive: Receive, redirect: (receive: Receive) => void): void {
    redirect(receive);
    for (const frame of this.#frames) receive(frame, frame.length);
    const rest = this.#reader.rest();
    if (rest.length > 0) receive(rest, rest.length);
  }
}

async function authenticate(options: ConnectOptions, socket: Socket, incoming: Incoming): Promise<void> {
  let scram: ScramClient | undefined;
  for (;;) {
    const frame = await incoming.next();
    refuseError(frame);
    if (frame[0] === BACKEND.negotiateProtocolVersion || frame[0] === BACKEND.noticeResponse) continue;
    const request = readAuthentication(frame);
    if (request === undefined) throw new Error('the server sent no authentication request');
    switch (request.kind) {
      case 'ok':
        return;
      case 'md5':
        if (options.credential.kind !== 'md5') throw unusable(`the server asks for an md5 password of ${options.role}`);
        socket.write(passwordMessage(md5Answer(options.credential.hash, request.salt)));
        break;
      case 'sasl':
        scram = startScram(options, socket, request.mechanisms);
        break;
      case 'saslContinue': {
        const answer = await scram?.continue(request.data);
        if (answer?.ok === false && answer.reason === 'otherVerifier')
          throw unusable('the password of the role was changed since its clients logged in', 'Log in again.');
        if (answer === undefined || !answer.ok) throw new Error(answer?.message ?? 'SCRAM out of order');
        socket.write(saslResponse(answer.data));
        break;
      }
      case 'saslFinal':
        if (scram?.verify(request.data) !== true) throw new Error('the server does not know the verifier of the role');
        break;
      default:
        throw unusable(`the server asks for an authentication (${request.kind}) that the proxy does not offer`);
    }
  }
}

function startScram(options: ConnectOptions, socket: Socket, mechanisms: readonly string[]): ScramClient {
  const { credential, role } = options;
  if (credential.kind !== 'clientKey')
    throw unusable(`the server asks for the SCRAM password of ${role}, and no client has shown one`);
  const certificate = (socket as Partial<TLSSocket>).getPeerCertificate?.()?.raw;
  const channelBinding = certificate === undefined ? null : tlsServerEndPoint(certificate);
  const scram = new ScramClient({ secret: credential, mechanisms, channelBinding });
  const first = scram.first();
  if (first === undefined) throw new Error('the server offers no SCRAM that the proxy knows');
  socket.write(saslInitialResponse(first.mechanism, first.data));
  return scram;
}

/** Trying again would not help. */
function unusable(message: string, hint?: string): LoginRefused {
  return new LoginRefused(new Map([['C', '28P01'], ['M', message], ...(hint === undefined ? [] : [['H', hint] as const])]));
}

async function greet(incoming: Incoming): Promise<Pick<LoggedIn, 'pid' | 'secret' | 'reported'>> {
  const values = new Map<string, string>();
  let key: { readonly pid: number; readonly secret: Buffer } | undefined;
  for (;;) {
    const frame = await incoming.next();
    refuseError(frame);
    switch (frame[0]) {
      case BACKEND.parameterStatus: {
        const read = readParameterStatus(frame);
        if (read !== undefined) values.set(read.name, read.value);
        break;
      }
      case BACKEND.backendKeyData:
        key = readBackendKeyData(frame);
        break;
      case BACKEND.readyForQuery:
        return { pid: key?.pid ?? 0, secret: key?.secret ?? Buffer.alloc(4), reported: Reported.of(values) };
      default:
        break;
    }
  }
}

function refuseError(frame: Buffer): void {
  if (frame[0] === BACKEND.errorResponse) throw new LoginRefused(readErrorFields(frame) ?? new Map());
}
