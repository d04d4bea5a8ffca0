import { connect, type Socket } from 'node:net';
import { readAuthentication, readBackendKeyData, readErrorFields, readParameterStatus } from '#wire/decode-backend.ts';
import { cancelRequest, saslInitialResponse, saslResponse, startupMessage } from '#wire/encode-frontend.ts';
import { FrameReader } from '#wire/frame-reader.ts';
import { BACKEND } from '#wire/message-types.ts';
import { ScramClient, type ScramSecret } from '#wire/scram-client.ts';

const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
const PATIENCE_MS = 60_000;

export interface RawLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly secret: ScramSecret;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** One connection that speaks the protocol message by message, without TLS: what a driver hides can be sent and seen. */
export class RawClient {
  readonly socket: Socket;
  /** As the server last reported them. */
  readonly parameters = new Map<string, string>();
  #key: { readonly pid: number; readonly secret: Buffer } | undefined;
  readonly #login: RawLogin;
  readonly #reader = new FrameReader(MAX_MESSAGE_BYTES);
  readonly #arrived: Buffer[] = [];
  #wake: (() => void) | undefined;
  #closed: Error | undefined;

  private constructor(login: RawLogin) {
    this.#login = login;
    this.socket = connect({ host: login.host, port: login.port, noDelay: true });
    this.socket.on('data', (chunk: Buffer) => {
      const frames = this.#reader.push(chunk);
      if (frames === null) this.#close(new Error('the other side does not speak the protocol'));
      else this.#arrived.push(...frames);
      this.#wake?.();
    });
    this.socket.on('error', (error) => this.#close(error));
    this.socket.on('close', () => this.#close(new ConnectionLost()));
  }

  /** Resolves at the first ReadyForQuery. Errors: `ServerError`, for what is answered in place of it; `ConnectionLost`. */
  static async connect(login: RawLogin): Promise<RawClient> {
    const client = new RawClient(login);
    try {
      await client.#logIn();
    } catch (error) {
      client.destroy();
      throw error;
    }
    return client;
  }

  get open(): boolean {
    return this.#closed === undefined;
  }

  get pid(): number {
    return this.#key?.pid ?? 0;
  }

  send(...messages: readonly Buffer[]): void {
    this.socket.write(messages.length === 1 ? (messages[0] as Buffer) : Buffer.concat(messages));
  }

  /** The next message. Errors: `ConnectionLost`; nothing came for a minute. */
  async next(): Promise<Buffer> {
    for (;;) {
      const message = this.#arrived.shift();
      if (message !== undefined) {
        const parameter = readParameterStatus(message);
        if (parameter !== undefined) this.parameters.set(parameter.name, parameter.value);
        return message;
      }
      if (this.#closed !== undefined) throw this.#closed;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('waited in vain for an answer')), PATIENCE_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Everything up to a ReadyForQuery, which is the last. Changes of parameters are left out. */
  async untilReady(): Promise<Buffer[]> {
    const messages: Buffer[] = [];
    for (;;) {
      const message = await this.next();
      if (message[0] !== BACKEND.parameterStatus) messages.push(message);
      if (message[0] === BACKEND.readyForQuery) return messages;
    }
  }

  /** On a connection of its own, as libpq does; resolves when the other side has closed that. */
  cancel(): Promise<void> {
    const { host, port } = this.#login;
    const socket = connect({ host, port });
    return new Promise((resolve) => {
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.resume();
      if (this.#key === undefined) socket.destroy();
      else socket.write(cancelRequest(this.#key.pid, this.#key.secret));
    });
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #logIn(): Promise<void> {
    const { user, database, secret, parameters = {} } = this.#login;
    this.send(startupMessage([['user', user], ['database', database], ...Object.entries(parameters)]));
    let scram: ScramClient | undefined;
    for (;;) {
      const message = await this.next();
      this.#key ??= readBackendKeyData(message);
      if (message[0] === BACKEND.errorResponse) throw new ServerError(message);
      if (message[0] === BACKEND.readyForQuery) return;
      const asked = message[0] === BACKEND.authentication ? readAuthentication(message) : undefined;
      if (asked?.kind === 'sasl') {
        scram = new ScramClient({ secret, mechanisms: asked.mechanisms, channelBinding: null });
        const first = scram.first();
        if (first === undefined) throw new Error('no SCRAM is offered');
        this.send(saslInitialResponse(first.mechanism, first.data));
      } else if (asked?.kind === 'saslContinue') {
        const answer = await scram?.continue(asked.data);
        if (answer?.ok !== true) throw new Error(answer?.message ?? 'SCRAM out of order');
        this.send(saslResponse(answer.data));
      } else if (asked?.kind === 'saslFinal' && scram?.verify(asked.data) !== true) {
        throw new Error('the other side does not know the verifier');
      }
    }
  }

  #close(why: Error): void {
    this.#closed ??= why;
    this.socket.destroy();
    this.#wake?.();
  }
}

export class ConnectionLost extends Error {
  constructor() {
    super('the connection was closed');
  }
}

/** An ErrorResponse. */
export class ServerError extends Error {
  readonly sqlState: string;

  constructor(message: Buffer) {
    const fields = readErrorFields(message);
    super(`${fields?.get('C')}: ${fields?.get('M')}`);
    this.sqlState = fields?.get('C') ?? '';
  }
}
