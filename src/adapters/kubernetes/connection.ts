import type { Agent, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';
import { createSecureContext, type SecureContext } from 'node:tls';
import { fail } from '#domain/errors.ts';
import { exchange, type HttpCall, type HttpHead, type HttpPeer, lastAnswerAt, stream } from '../http/exchange.ts';
import { lastingAgent } from '../http/lasting-agent.ts';
import type { KubeAccess, KubeCredentials } from './access.ts';
import { toFailure } from './failures.ts';

/** Connections at a time, without those of watches. */
const MAX_SOCKETS = 16;
/** As many as work at once in an operator: each new one is a handshake of both sides. */
const MAX_IDLE_SOCKETS = 8;
/** Beyond this an answer is not read on; lists are asked for in pages. */
const MAX_ANSWER_BYTES = 64 << 20;
/** The kubelet renews a token when a fifth of its life is left, which is ten minutes at the least. */
const READ_AGAIN_MS = 60_000;
/** Calls on connections with former credentials come to their end within this. */
const FORMER_MS = 30_000;

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

interface Login {
  readonly credentials: KubeCredentials;
  readonly secureContext: SecureContext;
  readonly agent: Agent;
  readonly readAt: number;
}

/** The connections to one API server, as whoever the credentials say at the moment. */
export class Connection {
  readonly #access: KubeAccess;
  #login: Promise<Login> | undefined;
  #current: Login | undefined;

  constructor(access: KubeAccess) {
    this.#access = access;
  }

  /** Rejects with KubeFailure, or with the reason of the call's signal. */
  async exchange(call: HttpCall): Promise<RawAnswer> {
    const login = await this.#loggedIn();
    call.signal.throwIfAborted();
    return exchange(this.#peer(login, login.agent), this.#as(login, call), MAX_ANSWER_BYTES);
  }

  /** On a connection of its own. */
  async stream(call: HttpCall, begin: (head: HttpHead) => (chunk: Buffer) => void): Promise<HttpHead> {
    const login = await this.#loggedIn();
    call.signal.throwIfAborted();
    return stream(this.#peer(login, false), this.#as(login, call), begin);
  }

  /** The server refuses what was shown, or shows something that is not trusted: perhaps it has been renewed. */
  outdated(): void {
    this.#login = undefined;
  }

  /** Nothing has come since: the connections that have not answered since would be as dead. */
  wentSilent(since: number): void {
    for (const sockets of Object.values(this.#current?.agent.freeSockets ?? {}))
      for (const socket of sockets ?? []) if (lastAnswerAt(socket) < since) socket.destroy();
  }

  close(): void {
    this.#current?.agent.destroy();
  }

  async #loggedIn(): Promise<Login> {
    if (this.#current !== undefined && performance.now() - this.#current.readAt > READ_AGAIN_MS) this.#login = undefined;
    this.#login ??= this.#read();
    const login = this.#login;
    try {
      return await login;
    } catch (error) {
      if (this.#login === login) this.#login = undefined;
      throw error;
    }
  }

  async #read(): Promise<Login> {
    const former = this.#current;
    let credentials: KubeCredentials;
    try {
      credentials = await this.#access.credentials.read();
    } catch (error) {
      // In the middle of being replaced, perhaps.
      if (former === undefined) throw error;
      ({ credentials } = former);
    }
    const readAt = performance.now();
    const same = former !== undefined && TLS_PARTS.every((part) => former.credentials[part] === credentials[part]);
    const login = same ? { ...former, credentials, readAt } : { ...this.#open(credentials), credentials, readAt };
    if (former !== undefined && !same) setTimeout(() => former.agent.destroy(), FORMER_MS).unref();
    this.#current = login;
    return login;
  }

  #open({ ca, certificate, key, insecure }: KubeCredentials): Pick<Login, 'secureContext' | 'agent'> {
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS, scheduling: 'lifo' as const };
    const trust = insecure === true ? { rejectUnauthorized: false } : {};
    const agent = lastingAgent(this.#access.server.protocol, { ...options, ...trust });
    try {
      const both = certificate === undefined || key === undefined ? {} : { cert: certificate, key };
      const secureContext = createSecureContext({ ...(ca === undefined ? {} : { ca }), ...both, minVersion: 'TLSv1.2' });
      return { secureContext, agent };
    } catch (error) {
      // OpenSSL's messages hold nothing of the key.
      return fail('kubernetes.noAccess', `the certificates for ${this.#access.server.host}: ${(error as Error).message}`, error);
    }
  }

  #peer({ secureContext, credentials: { servername, insecure } }: Login, agent: Agent | false): HttpPeer {
    return { url: this.#access.server, secureContext, servername, insecure, agent, toFailure };
  }

  #as({ credentials: { token } }: Login, call: HttpCall): HttpCall {
    const headers: OutgoingHttpHeaders = { accept: 'application/json', 'user-agent': 'matriarch', ...call.headers };
    const root = this.#access.server.pathname.replace(/\/$/, '');
    return {
      ...call,
      path: root + call.path,
      headers: token === undefined ? headers : { ...headers, authorization: `Bearer ${token}` },
    };
  }
}

const TLS_PARTS = ['ca', 'certificate', 'key', 'insecure'] as const;
