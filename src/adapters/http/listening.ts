import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { fail } from '#domain/errors.ts';

/** The bounds of every server; Node's own bound of the headers is 16 KiB. */
export const LIMITS = {
  headersTimeout: 5000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5000,
  connectionsCheckingInterval: 2000,
};
export const TLS_LIMITS = { handshakeTimeout: 5000, noDelay: true };
const MAX_CONNECTIONS = 256;
const STOP_TIMEOUT_MS = 1000;

/** Bounds the servers, and ends their connections with them. */
export class Listening {
  readonly #servers: readonly Server[];
  readonly #stopping = new AbortController();
  readonly #connections = new Set<Duplex>();

  constructor(servers: readonly Server[]) {
    this.#servers = servers;
    for (const server of servers) {
      server.maxConnections = MAX_CONNECTIONS;
      server.on('connection', (socket: Socket) => {
        this.#connections.add(socket);
        socket.once('close', () => this.#connections.delete(socket));
      });
    }
  }

  /** Aborts when the servers stop. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Takes no more requests, lets the running ones end until `signal` aborts (default: 1 s), then cuts every connection. */
  async stop(signal = AbortSignal.timeout(STOP_TIMEOUT_MS)): Promise<void> {
    this.#stopping.abort();
    const closed = Promise.all(this.#servers.map((server) => close(server)));
    const cut = () => {
      for (const connection of this.#connections) connection.destroy();
    };
    if (signal.aborted) cut();
    else signal.addEventListener('abort', cut, { once: true });
    await closed;
    signal.removeEventListener('abort', cut);
    // Upgraded connections are nobody's requests: the server does not wait for them.
    cut();
  }
}

/** Resolves with the port: a free one for 0. Errors: `port.taken`, `usage.invalidArgument`. */
export function listenOnPort(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      try {
        fail(error.code === 'EADDRINUSE' ? 'port.taken' : 'usage.invalidArgument', `${host}:${port}: ${error.message}`, error);
      } catch (failure) {
        reject(failure);
      }
    };
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
