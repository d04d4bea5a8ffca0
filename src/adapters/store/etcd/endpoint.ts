import type { Agent, OutgoingHttpHeaders } from 'node:http';
import { exchange, type HttpCall, type HttpPeer, lastAnswerAt, stream } from '../../http/exchange.ts';
import { lastingAgent } from '../../http/lasting-agent.ts';
import { type EtcdAnswer, readAnswer } from './answers.ts';
import type { Credentials } from './credentials.ts';
import { EtcdFailure, toFailure } from './failures.ts';
import type { EtcdRequest } from './requests.ts';

/** Connections to one member of etcd at a time, without the watch's. */
const MAX_SOCKETS = 16;
const MAX_IDLE_SOCKETS = 2;
/** Beyond this an answer is not read on; lists are asked for in pages that stay below. */
const MAX_ANSWER_BYTES = 8 << 20;
const AUTHENTICATION_IS_OFF = /authentication is not enabled/;
/**
 * A member of etcd that knows no leader then says so at once, and ends its watches, instead of letting everybody wait for five
 * seconds and more: what it has not taken on may be sent to another.
 */
const HAS_LEADER = { 'grpc-metadata-hasleader': 'true' };

export interface SendOptions {
  readonly signal: AbortSignal;
  /** True as soon as the request may have reached etcd. */
  readonly onSent: () => void;
}

/** One member of etcd: its connections, and the token that it gave for user and password. */
export class Endpoint {
  readonly name: string;
  readonly #peer: HttpPeer;
  readonly #agent: Agent;
  readonly #credentials: Credentials;
  readonly #loginTimeoutMs: number;
  readonly #follows = new Set<AbortController>();
  /** Of a member of its own each: it forgets tokens when it restarts, and after five minutes in which nobody showed it one. */
  #token: Promise<string | undefined> | undefined;

  /** `name`: its URL, without a path. */
  constructor(name: string, credentials: Credentials, loginTimeoutMs: number) {
    const url = new URL(name);
    this.name = name;
    this.#credentials = credentials;
    this.#loginTimeoutMs = loginTimeoutMs;
    const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: MAX_IDLE_SOCKETS, scheduling: 'lifo' as const };
    this.#agent = lastingAgent(url.protocol, options);
    this.#peer = { url, secureContext: credentials.secureContext, agent: this.#agent, toFailure };
  }

  /** Rejects with EtcdFailure, or with the signal's reason. */
  send(request: EtcdRequest, { signal, onSent }: SendOptions): Promise<EtcdAnswer> {
    return this.#withToken(signal, async (headers) => {
      const call = post(request.path, request.body, headers, { signal, onSent });
      const { status, text } = await exchange(this.#peer, call, MAX_ANSWER_BYTES);
      return readAnswer(status, text);
    });
  }

  /**
   * A streaming call on a connection of its own; resolves when etcd ends it. `listen` gives the reader of its pieces, a new one when
   * it has to begin again; what that throws ends it, too.
   */
  async follow(request: EtcdRequest, { signal, onSent }: SendOptions, listen: () => (chunk: Buffer) => void): Promise<void> {
    const lost = new AbortController();
    this.#follows.add(lost);
    const either = AbortSignal.any([signal, lost.signal]);
    try {
      await this.#withToken(either, (headers) => {
        const call = post(request.path, request.body, headers, { signal: either, onSent });
        return stream({ ...this.#peer, agent: false }, call, listen);
      });
    } finally {
      this.#follows.delete(lost);
    }
  }

  /** It refused or went silent: the connections that have not answered since would be as dead. */
  lose(silentSince: number): void {
    for (const sockets of Object.values(this.#agent.freeSockets))
      for (const socket of sockets ?? []) if (lastAnswerAt(socket) < silentSince) socket.destroy();
    for (const follow of this.#follows) follow.abort(new EtcdFailure('store.unavailable', 'it went silent'));
  }

  close(): void {
    this.#agent.destroy();
  }

  async #withToken<Result>(signal: AbortSignal, act: (headers: OutgoingHttpHeaders) => Promise<Result>): Promise<Result> {
    for (let attempt = 0; ; attempt++) {
      const token = this.#token ?? this.#login();
      const text = await untilAborted(token, signal);
      try {
        return await act(text === undefined ? HAS_LEADER : { ...HAS_LEADER, authorization: text });
      } catch (error) {
        if (!(error instanceof EtcdFailure) || error.remedy !== 'login') throw error;
        if (this.#token === token) this.#token = undefined;
        if (this.#credentials.user === undefined) {
          throw new EtcdFailure('store.denied', `${error.message}: no user is configured`, { remedy: 'none', harmless: true });
        }
        if (attempt > 0) throw error;
      }
    }
  }

  /** One for all who wait; goes on when they no longer do, because it costs etcd up to half a second of computing. */
  #login(): Promise<string | undefined> {
    const token = this.#authenticate();
    this.#token = token;
    token.catch(() => {
      if (this.#token === token) this.#token = undefined;
    });
    return token;
  }

  async #authenticate(): Promise<string | undefined> {
    const { user } = this.#credentials;
    if (user === undefined) return undefined;
    const signal = AbortSignal.timeout(this.#loginTimeoutMs);
    try {
      const call = post('auth/authenticate', user, HAS_LEADER, { signal, onSent: () => {} });
      const { status, text } = await exchange(this.#peer, call, MAX_ANSWER_BYTES);
      const { token } = readAnswer(status, text).body;
      return typeof token === 'string' ? token : undefined;
    } catch (error) {
      const { code, remedy, message } = error as EtcdFailure;
      // Nobody has to show who he is; a later answer tells when that changes.
      if (AUTHENTICATION_IS_OFF.test(message)) return undefined;
      if (!(error instanceof EtcdFailure)) throw new EtcdFailure('store.unavailable', 'no token in time', { harmless: true });
      // Whatever became of this: the request itself was not sent yet.
      throw new EtcdFailure(code, message, { remedy, harmless: true, cause: error });
    }
  }
}

function post(path: string, body: unknown, headers: OutgoingHttpHeaders, { signal, onSent }: SendOptions): HttpCall {
  const payload = Buffer.from(JSON.stringify(body));
  return {
    method: 'POST',
    path: `/v3/${path}`,
    payload,
    headers: { ...headers, 'content-type': 'application/json' },
    signal,
    onSent,
  };
}

function untilAborted<Result>(promise: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
}
