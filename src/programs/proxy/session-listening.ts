import { PIN } from '#core/pool/pins.ts';
import { EFFECT } from '#sql/effects.ts';
import { quoteIdentifier } from '#sql/quote.ts';
import { readNotification } from '#wire/decode-backend.ts';
import type { ClientSession } from './client-session.ts';
import { MARKER } from './notifications.ts';
import { type ServerConnection, toClients } from './server-connection.ts';
import { TRANSACTION } from './transaction-status.ts';

const MOVE_AGAIN_MS = 1000;
const MOST_LATE = 1000;

/** The notification behind which the shared listener delivers what is being moved to it. */
export interface Marker {
  readonly channel: string;
  readonly moving: ReadonlySet<string>;
  readonly met: () => void;
  readonly missed: () => void;
  /** The session's own connection has delivered everything before it. */
  isMet: boolean;
}

/** What a session listens to on its own connection, and how that moves to the shared listener. */
export class SessionListening {
  /** Channels that its own connection listens to. */
  here: readonly string[] = [];
  isMoving = false;
  marker: Marker | null = null;
  readonly #session: ClientSession;
  /** Channels of the shared listener that the server was told of: the next probe says which of them are left. */
  #back: readonly string[] | null = null;
  /** Notifications that came in the midst of a large row. */
  #late: Buffer[] = [];

  constructor(session: ClientSession) {
    this.#session = session;
  }

  /** A probe has seen these channels. */
  found(channels: readonly string[]): void {
    const gone = this.#back?.filter((channel) => !channels.includes(channel)) ?? [];
    this.#back = null;
    if (gone.length > 0) this.#session.home.watch.notifications.unsubscribe(this.#session, new Set(gone));
    // The session has unlistened meanwhile, and with that the marker is not heard any more.
    if (this.marker !== null && !this.marker.isMet && !channels.includes(this.marker.channel)) this.marker.missed();
    this.here = channels.filter((channel) => !channel.startsWith(MARKER));
    if (this.here.length > 0) this.#session.pins |= PIN.listening;
    else if (!this.isMoving) this.#session.pins &= ~PIN.listening;
  }

  /** Of its own connection. What the shared listener delivers already is not told twice. */
  heard(message: Buffer): void {
    const channel = readNotification(message)?.channel ?? '';
    const { marker } = this;
    if (channel === marker?.channel) {
      marker.isMet = true;
      marker.met();
    } else if (!channel.startsWith(MARKER) && this.#isOwn(channel)) {
      this.deliver(message);
    }
  }

  /** What is being moved comes from here up to the marker, wherever the shared listener has got to. */
  #isOwn(channel: string): boolean {
    const { marker } = this;
    if (marker?.moving.has(channel) === true) return !marker.isMet;
    return !this.#session.home.watch.notifications.has(this.#session, channel);
  }

  deliver(message: Buffer): void {
    const session = this.#session;
    if (session.closed) return;
    if (session.server?.isMidMessage === true || session.reads.isMidMessage) {
      if (this.#late.length < MOST_LATE) this.#late.push(message);
      return;
    }
    toClients.open(session.socket);
    toClients.add(message);
    toClients.flush();
  }

  deliverLate(): void {
    if (this.#late.length > 0) for (const message of this.#late.splice(0)) this.deliver(message);
  }

  /** Nothing else ties the session to its connection. */
  move(server: ServerConnection): void {
    if (this.isMoving) return;
    const session = this.#session;
    this.isMoving = true;
    session.home.watch.notifications.takeOver(session, server, (error) => {
      this.isMoving = false;
      this.marker = null;
      // What it listens to by now, on another connection, has waited for this.
      if (session.server !== server) return session.releaseIfFree();
      if (error !== null && this.here.length === 0) return this.#stop(server);
      if (error !== null) return void setTimeout(() => session.releaseIfFree(), MOVE_AGAIN_MS).unref();
      if (this.here.length === 0) session.pins &= ~PIN.listening;
      session.releaseIfFree();
    });
  }

  /** Nothing is left to be moved. */
  #stop(server: ServerConnection): void {
    const session = this.#session;
    const stopped = () => {
      if (session.server !== server) return;
      if (this.here.length === 0) session.pins &= ~PIN.listening;
      session.releaseIfFree();
    };
    const again = () => void setTimeout(() => session.releaseIfFree(), MOVE_AGAIN_MS).unref();
    session.home.watch.notifications.quietly(session, server, 'UNLISTEN *').then(stopped, again);
  }

  /** The server is asked what the session listens to (pg_listening_channels): what the shared listener does for it has to be there. */
  bringBack(): void {
    const session = this.#session;
    if (session.server?.status !== TRANSACTION.idle) return;
    const channels = session.home.watch.notifications.channelsOf(session).filter((channel) => !channel.startsWith(MARKER));
    const sql = channels.map((channel) => `LISTEN ${quoteIdentifier(channel)}`).join('; ');
    if (channels.length === 0) return;
    session.traces.effects |= EFFECT.listen;
    session.server.ask(sql, {
      onDone: (error) => {
        this.#back = error === null ? channels : null;
      },
    });
  }

  /** The session's own connection has to deliver something that the shared listener does not. */
  get isAlone(): boolean {
    return this.here.some((channel) => this.#isOwn(channel));
  }

  /** With its connection. */
  lost(): void {
    this.marker?.missed();
    this.marker = null;
    this.here = [];
    this.#back = null;
  }
}
