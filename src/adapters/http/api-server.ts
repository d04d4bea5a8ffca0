import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import { peerName, serverTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { errorAnswer } from './answers.ts';
import { LIMITS, Listening, listenOnPort, TLS_LIMITS } from './listening.ts';
import { createServer } from './node-http.ts';
import { type Caller, type Route, refuseOpenWrites } from './router.ts';
import { serveRequest } from './serve-request.ts';
import { checkSocketPath, listenOnSocket } from './unix-socket.ts';

export interface ApiServerOptions {
  /** The address that other members and clients reach, by mutual TLS. Port 0: a free one. */
  readonly host: string;
  readonly port: number;
  /** The address that it listens on. Default `host`. */
  readonly listen?: string | undefined;
  /** For the owner of the folder: no certificate, at most 107 bytes. */
  readonly socketPath: string;
  readonly tls: TlsIdentity;
  readonly routes: readonly Route[];
  /** A member asked for an upgrade to the peers' protocol and was answered 101. The socket is the listener's from now on. */
  onUpgrade?(socket: TLSSocket, head: Buffer, from: MemberName): void;
  /** An error in a handler that is none of the catalogue's: a bug, for the log. */
  onError(error: unknown): void;
}

export interface ApiServer {
  /** For connections that are made from now on; open ones go on. */
  setIdentity(tls: TlsIdentity): void;
  /** Listens on both. Errors: `port.taken`, `folder.pathTooLong`, `disk.*`. */
  start(): Promise<{ readonly port: number }>;
  /** Takes no more requests, lets the running ones end until `signal` aborts (default: 1 s), then cuts every connection. */
  stop(signal?: AbortSignal): Promise<void>;
}

export const PEER_PROTOCOL = 'matriarch-peer/1';

/** The agent's API. Whoever shows no certificate of the cluster and does not come by the Unix socket may read public routes only. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  refuseOpenWrites(options.routes);
  checkSocketPath(options.socketPath);
  const listenerFor =
    (callerOf: (request: IncomingMessage) => Caller): RequestListener =>
    (request, response) => {
      const refuse = (method: string, path: string) => errorAnswer('api.forbidden', `${method} ${path}`);
      void serveRequest({ ...options, callerOf, refuse, stopping: listening.stopping }, request, response);
    };
  const tlsServer = createTlsServer(
    { ...serverTls(options.tls), ...LIMITS, ...TLS_LIMITS },
    listenerFor(({ socket }) => callerByCertificate(socket)),
  );
  const socketServer = createServer(
    LIMITS,
    listenerFor(() => ({ kind: 'owner' })),
  );
  const listening = new Listening([tlsServer, socketServer]);
  for (const server of [tlsServer, socketServer])
    server.on('upgrade', (request, socket, head) => upgrade(options, request, socket, head));
  return {
    setIdentity: (tls) => tlsServer.setSecureContext(serverTls(tls)),
    async start() {
      const port = await listenOnPort(tlsServer, options.listen ?? options.host, options.port);
      try {
        await listenOnSocket(socketServer, options.socketPath);
      } catch (error) {
        tlsServer.close();
        throw error;
      }
      return { port };
    },
    stop: (signal) => listening.stop(signal),
  };
}

function callerByCertificate(socket: Socket): Caller {
  const name = socket instanceof TLSSocket ? peerName(socket) : undefined;
  return name === undefined ? { kind: 'anonymous' } : { kind: 'member', name };
}

function upgrade(options: ApiServerOptions, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const from = socket instanceof TLSSocket ? peerName(socket) : undefined;
  const refuse = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  if (options.onUpgrade === undefined || request.url !== '/peer' || request.headers.upgrade !== PEER_PROTOCOL) {
    refuse('404 Not Found');
  } else if (from === undefined) {
    refuse('403 Forbidden');
  } else {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n\r\n`);
    options.onUpgrade(socket as TLSSocket, head, from);
  }
}
