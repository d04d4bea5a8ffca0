import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { FrameReader } from '#wire/frame-reader.ts';
import { BACKEND } from '#wire/message-types.ts';
import { until } from './proxy-front.ts';

const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const STARTUP_LENGTH_BYTES = 4;
const CANCEL_REQUEST_BYTES = 16;

/** One connection of a proxy to its server. */
export class HeldLine {
  /** Everything that the proxy has sent, byte by byte. */
  sent = '';
  readonly #proxy: Socket;
  readonly #reader = new FrameReader(MAX_MESSAGE_BYTES);
  #held: Buffer[] | null = null;

  constructor(proxy: Socket, server: Socket, wire: { readonly holdsBehind: string | null }) {
    this.#proxy = proxy;
    proxy.on('data', (chunk: Buffer) => {
      this.sent += chunk.toString('latin1');
      if (wire.holdsBehind !== null && chunk.includes(wire.holdsBehind)) this.#held ??= [];
      server.write(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      const messages = this.#reader.push(chunk) ?? [];
      if (this.#held !== null) this.#held.push(...messages);
      else for (const message of messages) proxy.write(message);
    });
  }

  /** The next answer arrives, up to its ReadyForQuery, and nothing behind it. */
  async letAnswer(): Promise<void> {
    await until(() => {
      const held = this.#held ?? [];
      const end = held.findIndex((message) => message[0] === BACKEND.readyForQuery);
      if (end < 0) throw new Error('in vain: the server has not answered');
      for (const message of held.splice(0, end + 1)) this.#proxy.write(message);
    });
  }

  /** Everything arrives again. */
  release(): void {
    for (const message of this.#held ?? []) this.#proxy.write(message);
    this.#held = null;
  }

  /** Resolves when the proxy has sent this. */
  async untilSent(text: string): Promise<void> {
    await until(() => {
      if (!this.sent.includes(text)) throw new Error(`in vain: "${text}" was not sent`);
    });
  }

  /** As when the network breaks: the proxy sees the end, and the server has what was sent. */
  cut(): void {
    this.#proxy.destroy();
  }
}

/** Stands between a proxy and its server: what is said on the connections of one role is seen, held back and cut. */
export class HeldWire {
  /** A line on which the proxy sends this is held from there on: nothing that its server says arrives. */
  holdsBehind: string | null = null;
  /** Requests to cancel that have not gone on: each does when it is called. */
  readonly cancels: (() => void)[] = [];
  readonly #server: Server;
  readonly #lines: HeldLine[] = [];
  readonly #sockets: Socket[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to({ host, port }: { readonly host: string; readonly port: number }, role: string): Promise<HeldWire> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const wire = new HeldWire(server);
    server.on('connection', (proxy) => wire.#lead(proxy, connect({ host, port, noDelay: true }), role));
    server.listen(0, host);
    await once(server, 'listening');
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The one of the role on which the proxy sends this, or has sent it first. */
  async lineWith(text: string): Promise<HeldLine> {
    const find = () => this.#lines.find(({ sent }) => sent.includes(text));
    await until(() => {
      if (find() === undefined) throw new Error(`in vain: "${text}" was not sent`);
    });
    return find() as HeldLine;
  }

  #lead(proxy: Socket, server: Socket, role: string): void {
    this.#sockets.push(proxy, server);
    for (const [one, other] of [
      [proxy, server],
      [server, proxy],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
    proxy.once('data', (startup: Buffer) => {
      if (startup.length === CANCEL_REQUEST_BYTES) return void this.cancels.push(() => server.end(startup));
      proxy.on('end', () => server.end());
      server.write(startup);
      if (startup.includes(`user\0${role}\0`, STARTUP_LENGTH_BYTES)) this.#lines.push(new HeldLine(proxy, server, this));
      else proxy.pipe(server).pipe(proxy);
    });
  }

  end(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
