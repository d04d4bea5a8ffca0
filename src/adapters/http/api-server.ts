import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { MemberName } from '#domain/member.ts';
import { isProxyName } from '#domain/proxy-names.ts';
import { PROXY_PROTOCOL } from '../proxy-link/messages.ts';
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
  /** The same for the proxies' protocol: asked for by a proxy, a member, or (`local`) the owner by the Unix socket. */
  onProxy?(socket: Socket, head: Buffer, local: boolean): void;
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
  tlsServer.on('upgrade', (request, socket, head) =>
    upgrade(options, request, socket, head, callerByCertificate(request.socket)),
  );
  socketServer.on('upgrade', (request, socket, head) => upgrade(options, request, socket, head, { kind: 'owner' }));
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
  if (name === undefined) return { kind: 'anonymous' };
  return { kind: isProxyName(name) ? 'proxy' : 'member', name };
}

function upgrade(
  options: ApiServerOptions,
  { url, headers }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: Caller,
): void {
  socket.on('error', () => socket.destroy());
  const refuse = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
  const accept = (protocol: string) =>
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`);
  if (options.onUpgrade !== undefined && url === '/peer' && headers.upgrade === PEER_PROTOCOL) {
    if (caller.kind !== 'member') return void refuse('403 Forbidden');
    accept(PEER_PROTOCOL);
    options.onUpgrade(socket as TLSSocket, head, caller.name);
  } else if (options.onProxy !== undefined && url === '/proxy' && headers.upgrade === PROXY_PROTOCOL) {
    if (caller.kind === 'anonymous') return void refuse('403 Forbidden');
    accept(PROXY_PROTOCOL);
    options.onProxy(socket as Socket, head, caller.kind === 'owner');
  } else {
    refuse('404 Not Found');
  }
}
