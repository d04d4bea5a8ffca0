import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay in front of one endpoint: delays what comes back, swallows everything, or refuses. */
export class Relay {
  /** Of each piece of an answer. */
  delayMs = 0;
  /** True: connections stay and nothing goes through, either way. */
  swallows = false;
  /** True: whoever connects is cut off. */
  refuses = false;
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((near) => this.#join(near));
  }

  static async start(url: string): Promise<Relay> {
    const relay = new Relay(new URL(url));
    await new Promise<void>((resolve) => relay.#server.listen(0, '127.0.0.1', resolve));
    return relay;
  }

  get url(): string {
    const { port } = this.#server.address() as { port: number };
    return `${this.#target.protocol}//127.0.0.1:${port}`;
  }

  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Ends every connection that there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(near: Socket): void {
    if (this.refuses) return void near.destroy();
    const far = connect(Number(this.#target.port), this.#target.hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    near.on('data', (chunk) => this.swallows || far.write(chunk));
    far.on('data', (chunk) => {
      if (!this.swallows) setTimeout(() => near.writable && near.write(chunk), this.delayMs);
    });
  }
}
