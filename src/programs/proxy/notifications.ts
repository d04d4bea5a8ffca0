import { randomBytes } from 'node:crypto';
import { quoteIdentifier, quoteLiteral } from '#sql/quote.ts';
import { readNotification } from '#wire/decode-backend.ts';
import type { ClientSession } from './client-session.ts';
import { type ServerConnection, toServers } from './server-connection.ts';

/** The connection that listens for every session of one database. */
export interface ListenerSource {
  /** Opens one; it belongs to the caller. */
  openListener(onNotification: (message: Buffer) => void, onClosed: () => void): Promise<ServerConnection>;
  /** Transactions need not wait for it any more. */
  onReady(): void;
}

interface Subscriber {
  readonly session: ClientSession;
  /** Not yet: the session's own server connection delivers until it has met this marker. */
  marker: string | null;
}

const RETRY_MS = 200;
const PATIENCE_MS = 1000;
/** Then their order is given up. */
const MOST_EARLY = 10_000;
/** No client is told of a channel with such a name. */
export const MARKER = '_matriarch_';

/**
 * LISTEN without a connection for each listener. A session that listens keeps its server connection until the shared one listens as
 * well. Then a marker is sent: every notification before it is delivered by the session's own connection, every one behind it by the
 * shared one. PostgreSQL delivers in the order of commits everywhere, so that none is missed and none comes twice.
 */
export class Notifications {
  readonly #source: ListenerSource;
  readonly #channels = new Map<string, Map<ClientSession, Subscriber>>();
  #listener: ServerConnection | null = null;
  #opening: Promise<ServerConnection | null> | null = null;
  #retry: NodeJS.Timeout | null = null;
  /** What has come by the shared connection before the session's own had met the marker. */
  readonly #early = new Map<ClientSession, Buffer[]>();
  #closed = false;
  /** Since when nobody listens for those who have subscribed. */
  #lostAt: number | null = null;
  #attempts = 0;

  constructor(source: ListenerSource) {
    this.#source = source;
  }

  /** The session has them from the shared connection. */
  has(session: ClientSession, channel: string): boolean {
    return this.#channels.get(channel)?.get(session)?.marker === null;
  }

  /** What the session listens to by the shared connection. */
  channelsOf(session: ClientSession): string[] {
    return [...this.#channels].filter(([, subscribers]) => subscribers.has(session)).map(([channel]) => channel);
  }

  /** The session listens on `server`; `done` when it no longer does, and the shared connection delivers instead. */
  takeOver(session: ClientSession, server: ServerConnection, done: (error: string | null) => void): void {
    const marker = `${MARKER}${randomBytes(9).toString('hex')}`;
    this.#hand(session, server, marker).then(
      () => done(null),
      (error: Error) => {
        this.#let(session);
        this.unsubscribe(session, new Set([marker, ...this.#pending(session, marker)]));
        done(error.message);
      },
    );
  }

  async #hand(session: ClientSession, server: ServerConnection, marker: string): Promise<void> {
    const listener = await this.#open();
    if (listener === null) throw new Error('the shared listener could not be opened');
    const encodings = [listener, server].map(({ reported }) => reported.values.get('client_encoding'));
    if (encodings[0] !== encodings[1]) throw new Error('the session has an encoding of its own');
    const channels = session.listening.here.filter((channel) => !this.has(session, channel));
    for (const channel of [...channels, marker]) this.#subscribe(session, channel, marker);
    await ask(listener, [...channels, marker].map((channel) => `LISTEN ${quoteIdentifier(channel)}`).join('; '));
    const { promise: met, resolve, reject } = Promise.withResolvers<void>();
    met.catch(() => {});
    const missed = () => reject(new Error('the session has unlistened'));
    await this.quietly(session, server, `LISTEN ${quoteIdentifier(marker)}`);
    // Not before: what was read of the session until now does not know it, and would be taken for an UNLISTEN.
    session.listening.marker = { channel: marker, moving: new Set(channels), met: resolve, missed, isMet: false };
    await this.quietly(session, server, `SELECT pg_catalog.pg_notify(${quoteLiteral(marker)}, '')`);
    await met;
    this.#let(session);
    // A LISTEN that came meanwhile is not lost: it takes another turn.
    if (session.listening.here.every((channel) => channels.includes(channel) || this.has(session, channel))) {
      await this.quietly(session, server, 'UNLISTEN *');
      session.listening.here = [];
    } else {
      await this.quietly(session, server, `UNLISTEN ${quoteIdentifier(marker)}`);
    }
  }

  /** While nothing of the client is under way there. */
  async quietly(session: ClientSession, server: ServerConnection, sql: string): Promise<void> {
    // What the client had to hold back has gone on, perhaps, before this could: into a COPY, say.
    do await session.whenFree();
    while (!session.isQuiet);
    if (server.closed || session.server !== server) throw new Error('the session has left the connection');
    await ask(server, sql);
  }

  unsubscribe(session: ClientSession, channels: ReadonlySet<string> | 'all'): void {
    if (channels === 'all') this.#early.delete(session);
    const names = channels === 'all' ? [...this.#channels.keys()] : [...channels];
    for (const name of names) {
      const subscribers = this.#channels.get(name);
      if (subscribers?.delete(session) === true && subscribers.size === 0) this.#forget(name);
    }
  }

  #forget(channel: string): void {
    this.#channels.delete(channel);
    const listener = this.#listener;
    if (listener !== null && !listener.closed) void ask(listener, `UNLISTEN ${quoteIdentifier(channel)}`).catch(() => {});
  }

  #subscribe(session: ClientSession, channel: string, marker: string): void {
    let subscribers = this.#channels.get(channel);
    if (subscribers === undefined) {
      subscribers = new Map();
      this.#channels.set(channel, subscribers);
    }
    if (subscribers.get(session)?.marker !== null) subscribers.set(session, { session, marker });
  }

  /** Channels that wait for a marker. */
  #pending(session: ClientSession, marker: string): string[] {
    return [...this.#channels]
      .filter(([, subscribers]) => subscribers.get(session)?.marker === marker)
      .map(([channel]) => channel);
  }

  /** Of the shared connection. */
  #shared(message: Buffer): void {
    const read = readNotification(message);
    const subscribers = read === undefined ? undefined : this.#channels.get(read.channel);
    if (read === undefined || subscribers === undefined) return;
    for (const subscriber of [...subscribers.values()]) {
      const { session } = subscriber;
      if (subscriber.marker === read.channel) {
        if (session.listening.marker?.isMet === false) this.#early.set(session, []);
        this.#arrived(session, read.channel);
        this.unsubscribe(session, new Set([read.channel]));
      } else if (subscriber.marker === null && !read.channel.startsWith(MARKER)) {
        this.#deliver(session, message);
      }
    }
  }

  #deliver(session: ClientSession, message: Buffer): void {
    const early = this.#early.get(session);
    if (early === undefined) session.listening.deliver(message);
    else if (early.push(message) > MOST_EARLY) this.#let(session);
  }

  /** The session's own connection has delivered what came before. */
  #let(session: ClientSession): void {
    const early = this.#early.get(session);
    this.#early.delete(session);
    for (const message of early ?? []) session.listening.deliver(message);
  }

  #arrived(session: ClientSession, marker: string): void {
    for (const subscribers of this.#channels.values()) {
      const subscriber = subscribers.get(session);
      if (subscriber?.marker === marker) subscriber.marker = null;
    }
  }

  #open(): Promise<ServerConnection | null> {
    if (this.#listener !== null && !this.#listener.closed) return Promise.resolve(this.#listener);
    this.#opening ??= this.#source
      .openListener(
        (message) => this.#shared(message),
        () => this.#lost(),
      )
      .then(
        (listener) => {
          this.#listener = listener;
          return listener;
        },
        () => null,
      )
      .finally(() => {
        this.#opening = null;
      });
    return this.#opening;
  }

  /** Whoever notifies through this proxy is heard. Without the listener, transactions wait for it, for a while. */
  get isReady(): boolean {
    return this.#lostAt === null || performance.now() - this.#lostAt > PATIENCE_MS;
  }

  /** What others notify until it listens again is lost, as it is to any listener that has to connect again. */
  #lost(): void {
    this.#listener = null;
    if (this.#closed || this.#channels.size === 0) return;
    if (this.#lostAt === null) {
      this.#lostAt = performance.now();
      setTimeout(() => this.#source.onReady(), PATIENCE_MS + 1).unref();
    }
    clearTimeout(this.#retry ?? undefined);
    this.#retry = setTimeout(() => void this.#again(), this.#attempts++ === 0 ? 0 : RETRY_MS);
    this.#retry.unref();
  }

  async #again(): Promise<void> {
    const listener = await this.#open();
    if (listener === null) return this.#lost();
    for (const subscribers of this.#channels.values()) for (const one of subscribers.values()) one.marker = null;
    const texts = [...this.#channels.keys()].map((channel) => `LISTEN ${quoteIdentifier(channel)}`);
    try {
      if (texts.length > 0) await ask(listener, texts.join('; '));
    } catch {
      // It was lost again, which has been noticed.
      return;
    }
    this.#attempts = 0;
    this.#lostAt = null;
    this.#source.onReady();
  }

  /** There is another primary, or will be. */
  moved(): void {
    this.#listener?.close('there is another primary');
  }

  /** There is a primary again: those who listen come first. */
  hurry(): void {
    if (this.#lostAt === null) return;
    this.#attempts = 0;
    this.#lostAt = null;
    this.#lost();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry ?? undefined);
    this.#listener?.close('the proxy ends');
  }
}

function ask(server: ServerConnection, sql: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.ask(sql, { onDone: (error) => (error === null ? resolve() : reject(new Error('the server refused it'))) });
  toServers.flush();
  return promise;
}
