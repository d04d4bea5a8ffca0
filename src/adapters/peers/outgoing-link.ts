import { connect, type TLSSocket } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import { PEER_PROTOCOL } from '../http/api-server.ts';
import { clientTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { FrameReader, MAX_FRAME_BYTES } from './frames.ts';

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface OutgoingLinkOptions {
  readonly peer: MemberName;
  readonly address: PeerAddress;
  /** As it is when a connection is made. */
  readonly tls: () => TlsIdentity;
  /** The other end closed a link that was up: its process has ended, or its API has. */
  onLost(): void;
}

/** Longer than the longest way there and back over which a cluster can be kept together by these heartbeats. */
const CONNECT_TIMEOUT_MS = 1000;
/** Of TLS and the upgrade. Longer, so that a peer that is stopped and goes on finds a link that only has to be finished. */
const HANDSHAKE_TIMEOUT_MS = 2000;
const FIRST_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 1000;
/** Sent and not yet confirmed, in the kernels' buffers or here. What a stopped peer reads when it goes on is stale: keep it small. */
const MAX_UNCONFIRMED_BYTES = 256 * 1024;
const MAX_UNCONFIRMED_FRAMES = 1024;
/** After so long without confirmation a new connection is faster than TCP's ever slower retransmissions. */
const CONFIRM_TIMEOUT_MS = 2000;

interface Established {
  readonly socket: TLSSocket;
  readonly unconfirmed: { readonly sentAt: number; readonly bytes: number }[];
  unconfirmedBytes: number;
  confirmed: number;
}

/** The link to one peer over which this member sends: dialled, and dialled again, until it is closed. */
export class OutgoingLink {
  readonly #options: OutgoingLinkOptions;
  #established: Established | undefined;
  #socket: TLSSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = FIRST_BACKOFF_MS;
  #closed = false;

  constructor(options: OutgoingLinkOptions) {
    this.#options = options;
    this.#dial();
  }

  get isUp(): boolean {
    return this.#established !== undefined;
  }

  get address(): PeerAddress {
    return this.#options.address;
  }

  /** False when it was dropped: no link, too much unconfirmed, or too large. */
  send(line: Buffer): boolean {
    const link = this.#established;
    if (link === undefined || line.length > MAX_FRAME_BYTES) return false;
    if (link.unconfirmedBytes + line.length > MAX_UNCONFIRMED_BYTES || link.unconfirmed.length >= MAX_UNCONFIRMED_FRAMES)
      return false;
    link.unconfirmed.push({ sentAt: performance.now(), bytes: line.length });
    link.unconfirmedBytes += line.length;
    link.socket.write(line);
    return true;
  }

  /** The peer is there: it has just dialled us. */
  hurry(): void {
    this.#backoffMs = FIRST_BACKOFF_MS;
    if (this.#timer !== undefined && this.#socket === undefined) this.#dial();
  }

  /** Called now and then: gives up a link whose peer confirms nothing. */
  check(now: number): void {
    const oldest = this.#established?.unconfirmed[0];
    if (oldest !== undefined && now - oldest.sentAt > CONFIRM_TIMEOUT_MS) this.#socket?.destroy();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #dial(): void {
    clearTimeout(this.#timer);
    const { address, peer, tls } = this.#options;
    const socket = connect({ ...clientTls(tls(), peer), host: address.host, port: address.port });
    this.#socket = socket;
    this.#timer = setTimeout(() => socket.destroy(), CONNECT_TIMEOUT_MS);
    let endedByPeer = false;
    socket.setNoDelay(true);
    socket.once('connect', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS);
    });
    socket.once('secureConnect', () => {
      socket.write(`GET /peer HTTP/1.1\r\nhost: ${peer}\r\nconnection: upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n\r\n`);
    });
    socket.on('data', this.#reader(socket));
    socket.on('end', () => {
      endedByPeer = true;
      socket.destroy();
    });
    // ECONNRESET: a process that was killed with bytes unread. EPIPE: one that is gone when we write.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      endedByPeer ||= error.code === 'ECONNRESET' || error.code === 'EPIPE';
    });
    socket.once('close', () => this.#onClosed(endedByPeer));
  }

  /** First the answer to the upgrade, then confirmations. */
  #reader(socket: TLSSocket): (chunk: Buffer) => void {
    const frames = new FrameReader(8192);
    let upgraded = false;
    return (chunk) => {
      const lines = frames.read(chunk);
      if (lines === null) return void socket.destroy();
      for (const line of lines) {
        if (upgraded) {
          if (!this.#confirm(Number(line))) return void socket.destroy();
        } else if (line.startsWith('HTTP/') && !line.startsWith('HTTP/1.1 101 ')) {
          return void socket.destroy();
        } else if (line.trim() === '') {
          upgraded = true;
          this.#onUp(socket);
        }
      }
    };
  }

  #onUp(socket: TLSSocket): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#backoffMs = FIRST_BACKOFF_MS;
    this.#established = { socket, unconfirmed: [], unconfirmedBytes: 0, confirmed: 0 };
  }

  #confirm(count: number): boolean {
    const link = this.#established;
    if (link === undefined || !Number.isInteger(count)) return false;
    const newly = count - link.confirmed;
    if (newly < 0 || newly > link.unconfirmed.length) return false;
    for (const { bytes } of link.unconfirmed.splice(0, newly)) link.unconfirmedBytes -= bytes;
    link.confirmed = count;
    return true;
  }

  #onClosed(endedByPeer: boolean): void {
    const wasUp = this.#established !== undefined;
    this.#established = undefined;
    this.#socket = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed) return;
    // Jitter, so that the members do not dial a returning one all at once.
    const pauseMs = this.#backoffMs * (0.5 + Math.random() / 2);
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, this.#backoffMs * 2);
    this.#timer = setTimeout(() => this.#dial(), pauseMs);
    if (wasUp && endedByPeer) this.#options.onLost();
  }
}
