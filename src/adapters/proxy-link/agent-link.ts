import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';
import { clientTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { LineLink } from './line-link.ts';
import { type AgentView, PROXY_PROTOCOL, type ProxyMessage, readAgentMessage } from './messages.ts';

/** Where an agent is reached. By TLS, another member than `name` is refused. */
export type AgentTarget =
  | { readonly name: MemberName; readonly socketPath: string }
  | { readonly name: MemberName; readonly host: string; readonly port: number };

export interface AgentLinkOptions {
  readonly target: AgentTarget;
  /** As it is when a connection is made. Undefined: only Unix sockets are dialled. */
  readonly tls: () => TlsIdentity | undefined;
  onView(view: AgentView): void;
  /** The agent waits until `drained` is called with the id, or its patience ends. */
  onHold(id: number): void;
  /** The link is down. */
  onDown(): void;
}

/** Of the connection, TLS and the upgrade together. */
const DIAL_TIMEOUT_MS = 2000;
const FIRST_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 3000;
const MAX_LOOKUPS = 256;

/** The agent did not answer: another one may. */
class NoAgent extends Error {
  override readonly name = 'NoAgent';
}

type Answer = (error: string | undefined, facts: RoleFacts | null) => void;

/** The link to one agent: dialled, and dialled again, until it is closed. */
export class AgentLink {
  readonly #options: AgentLinkOptions;
  readonly #lookups = new Map<number, Answer>();
  #line: LineLink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = FIRST_BACKOFF_MS;
  #lookupId = 0;
  #up = false;
  #closed = false;
  #closing: Promise<void> = Promise.resolve();

  constructor(options: AgentLinkOptions) {
    this.#options = options;
    this.#dial();
  }

  get target(): AgentTarget {
    return this.#options.target;
  }

  get isUp(): boolean {
    return this.#up;
  }

  /** Rejects with `NoAgent` when there is no answer within `timeoutMs`. */
  lookup(role: string, database: string, timeoutMs: number): Promise<RoleFacts | null> {
    const { name } = this.#options.target;
    const { promise, resolve, reject } = Promise.withResolvers<RoleFacts | null>();
    if (this.#lookups.size >= MAX_LOOKUPS) return Promise.reject(new NoAgent(`${name}: too many questions at once`));
    const id = ++this.#lookupId;
    const over = (error: string | undefined, facts: RoleFacts | null) => {
      clearTimeout(timer);
      this.#lookups.delete(id);
      if (error === undefined) resolve(facts);
      else reject(new NoAgent(`${name}: ${error}`));
    };
    const timer = setTimeout(() => over(`no answer within ${timeoutMs} ms`, null), timeoutMs);
    this.#lookups.set(id, over);
    if (!this.#send({ kind: 'lookup', id, role, database })) over('its agent is not linked', null);
    return promise;
  }

  drained(id: number): void {
    this.#send({ kind: 'drained', id });
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#line?.close();
    await this.#closing;
  }

  #send(message: ProxyMessage): boolean {
    return this.#up && this.#line?.send(message) === true;
  }

  #dial(): void {
    const socket = this.#connect();
    if (socket === undefined) return this.#again();
    const { name } = this.#options.target;
    const closed = Promise.withResolvers<void>();
    this.#closing = closed.promise;
    this.#timer = setTimeout(() => socket.destroy(), DIAL_TIMEOUT_MS);
    this.#line = new LineLink({
      socket,
      upgrading: true,
      beat: () => ({ kind: 'beat' }) satisfies ProxyMessage,
      onUp: () => {
        clearTimeout(this.#timer);
        this.#up = true;
        this.#backoffMs = FIRST_BACKOFF_MS;
      },
      onMessage: (json) => this.#hear(json),
      onClosed: () => {
        closed.resolve();
        this.#down();
      },
    });
    socket.once('socketPath' in this.#options.target ? 'connect' : 'secureConnect', () =>
      socket.write(`GET /proxy HTTP/1.1\r\nhost: ${name}\r\nconnection: upgrade\r\nupgrade: ${PROXY_PROTOCOL}\r\n\r\n`),
    );
  }

  #connect(): Socket | undefined {
    const { target, tls } = this.#options;
    if ('socketPath' in target) return connectPlain(target.socketPath);
    const identity = tls();
    if (identity === undefined) return undefined;
    const socket = connectTls({ ...clientTls(identity, target.name), host: target.host, port: target.port });
    socket.setNoDelay(true);
    return socket;
  }

  #hear(json: unknown): void {
    const message = readAgentMessage(json);
    switch (message?.kind) {
      case 'view':
        // Behind a socket or an address may be another member by now.
        if (message.member === this.#options.target.name) this.#options.onView(message);
        else this.#line?.close();
        return;
      case 'hold':
        return this.#options.onHold(message.id);
      case 'role':
        if ('error' in message) this.#lookups.get(message.id)?.(message.error, null);
        else this.#lookups.get(message.id)?.(undefined, message.facts);
        return;
    }
  }

  #down(): void {
    clearTimeout(this.#timer);
    this.#line = undefined;
    const wasUp = this.#up;
    this.#up = false;
    for (const over of [...this.#lookups.values()]) over('the link to its agent is lost', null);
    if (wasUp) this.#options.onDown();
    this.#again();
  }

  #again(): void {
    if (this.#closed) return;
    // Jitter, so that many proxies do not dial a returning agent all at once.
    const pauseMs = this.#backoffMs * (0.5 + Math.random() / 2);
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2);
    this.#timer = setTimeout(() => this.#dial(), pauseMs);
  }
}
