import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { FrameReader } from '#wire/frame-reader.ts';
import { readStartup, type Startup } from '#wire/read-startup.ts';
import { adopt, type Receive } from './shared-buffer.ts';

const FIRST_TLS_BYTE = 0x16;
const MAX_STARTUP_BYTES = 10_004;
/** Of a message during the login: PostgreSQL's limit for an authentication token, and its header. */
const MAX_LOGIN_BYTES = 65_541;
const SAY_TLS = Buffer.from('S');
const SAY_NO = Buffer.from('N');

export interface ClientSecurity {
  readonly context: SecureContext;
  /** Certificates of clients are asked for. */
  readonly asksCertificate: boolean;
}

/** The bytes of one client until its session takes over: encryption, the startup packet, then the messages of the login. */
export class ClientChannel {
  socket: Socket;
  /** It was asked for, or came first. */
  secure: TLSSocket | null = null;
  readonly #security: () => ClientSecurity | null;
  readonly #frames = new FrameReader(MAX_LOGIN_BYTES);
  readonly #queue: Buffer[] = [];
  #receive: Receive = (bytes, length) => this.#collect(bytes.subarray(0, length));
  #startup = Buffer.alloc(0);
  #queuedBytes = 0;
  #inLogin = false;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | null = null;
  #ended: Error | null = null;

  constructor(socket: Socket, security: () => ClientSecurity | null) {
    this.socket = socket;
    this.#security = security;
    this.#watch(socket);
    socket.on('data', this.#onData);
    socket.resume();
  }

  readonly #onData = (chunk: Buffer): void => this.#receive(chunk, chunk.length);

  readonly #onEnd = (error?: Error): void => {
    this.#ended ??= error instanceof Error ? error : new Error('the client closed the connection');
    this.#waiting?.reject(this.#ended);
    this.#waiting = null;
  };

  #watch(socket: Socket): void {
    socket.on('error', this.#onEnd);
    socket.on('close', () => this.#onEnd());
    socket.on('end', () => this.#onEnd());
  }

  #collect(chunk: Buffer): void {
    if (this.#inLogin) {
      const frames = this.#frames.push(chunk);
      if (frames === null) return void this.socket.destroy(new Error('a message of an impossible length'));
      this.#queue.push(...frames);
      // Nobody has anything to say ahead of its turn.
      for (const frame of frames) this.#queuedBytes += frame.length;
      if (this.#queuedBytes > MAX_LOGIN_BYTES) return void this.socket.destroy(new Error('too much during the login'));
    } else {
      if (this.#startup.length + chunk.length > MAX_STARTUP_BYTES + MAX_LOGIN_BYTES) return void this.socket.destroy();
      this.#startup = Buffer.concat([this.#startup, chunk]);
    }
    this.#waiting?.resolve();
    this.#waiting = null;
  }

  #more(): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting = { resolve, reject };
    return promise;
  }

  /** The request for a session or a cancel, with encryption settled before. Rejects when the client goes. */
  async startup(): Promise<Exclude<Startup, { kind: 'incomplete' | 'ssl' | 'gss' }>> {
    const asked = new Set<'ssl' | 'gss'>();
    for (;;) {
      if (this.#startup.length === 0) await this.#more();
      if (this.#startup[0] === FIRST_TLS_BYTE && this.secure === null && asked.size === 0) {
        const security = this.#security();
        if (security === null) throw new Error('TLS without having been offered');
        const hello = this.#startup;
        this.#startup = Buffer.alloc(0);
        await this.#encrypt(security, hello);
        continue;
      }
      const read = readStartup(this.#startup);
      if (read.kind === 'incomplete') {
        await this.#more();
        continue;
      }
      if (read.kind === 'ssl' || read.kind === 'gss') {
        // Whatever came before the encryption was not protected by it.
        if (this.#startup.length > read.length) return PREMATURE;
        if (asked.has(read.kind) || this.secure !== null) return ASKED_AGAIN;
        asked.add(read.kind);
        this.#startup = Buffer.alloc(0);
        const security = read.kind === 'ssl' ? this.#security() : null;
        if (security === null) this.socket.write(SAY_NO);
        else {
          this.socket.write(SAY_TLS);
          await this.#encrypt(security, null);
        }
        continue;
      }
      if (read.kind !== 'invalid') this.#beginLogin(this.#startup.subarray(read.length));
      return read;
    }
  }

  async #encrypt({ context, asksCertificate }: ClientSecurity, hello: Buffer | null): Promise<void> {
    const plain = this.socket;
    plain.off('data', this.#onData);
    plain.pause();
    // Read before it was known to be TLS: it is put back in front of what follows.
    if (hello !== null) plain.unshift(hello);
    const secure = new TLSSocket(plain, {
      isServer: true,
      secureContext: context,
      requestCert: asksCertificate,
      rejectUnauthorized: false,
      ALPNProtocols: ['postgresql'],
    });
    this.socket = secure;
    this.secure = secure;
    this.#watch(secure);
    await new Promise<void>((resolve, reject) => {
      secure.once('secure', () => resolve());
      secure.once('error', reject);
      secure.once('close', () => reject(new Error('the client closed the connection')));
    });
    secure.authorized = isVerified(secure);
    if (hello !== null && secure.alpnProtocol !== 'postgresql') throw new Error('direct TLS without the protocol postgresql');
    secure.on('data', this.#onData);
  }

  #beginLogin(rest: Buffer): void {
    this.#inLogin = true;
    if (this.secure === null) {
      const socket = adopt(this.socket, (bytes, length) => this.#receive(bytes, length));
      if (socket !== undefined) {
        this.socket = socket;
        this.#watch(socket);
      }
    }
    if (rest.length > 0) this.#collect(Buffer.from(rest));
    this.#startup = Buffer.alloc(0);
  }

  /** The next message of the login. */
  async message(): Promise<Buffer> {
    for (;;) {
      const frame = this.#queue.shift();
      if (frame !== undefined) {
        this.#queuedBytes -= frame.length;
        return frame;
      }
      await this.#more();
    }
  }

  /** From now on everything goes there, with what has come already. */
  handTo(receive: Receive): void {
    this.#receive = receive;
    for (const frame of this.#queue) receive(frame, frame.length);
    const rest = this.#frames.rest();
    if (rest.length > 0) receive(rest, rest.length);
  }
}

const ASKED_AGAIN = { kind: 'invalid', code: '08P01', message: 'encryption was asked for more than once' } as const;
const PREMATURE = { kind: 'invalid', code: '08P01', message: 'received unencrypted data after an encryption request' } as const;

/** `tls.Server` sets `authorized` for the sockets that it accepts itself, and by this (lib/internal/tls/wrap.js). */
function isVerified(secure: TLSSocket): boolean {
  const { _handle: handle } = secure as unknown as { readonly _handle: { verifyError?(): Error | null } | null };
  const error = handle?.verifyError?.();
  return typeof handle?.verifyError === 'function' && (error === null || error === undefined);
}
