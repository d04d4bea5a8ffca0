import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import { peerName, serverTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { errorAnswer, thrownAnswer } from './answers.ts';
import { createServer } from './node-http.ts';
import { readBody } from './read-body.ts';
import { type ApiResponse, type Caller, matchRoute, type Route } from './router.ts';
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
const MAX_CONNECTIONS = 256;
const LIMITS = { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 5000, connectionsCheckingInterval: 2000 };
const HANDSHAKE_TIMEOUT_MS = 5000;
const STOP_TIMEOUT_MS = 1000;

/** The agent's API. Whoever shows no certificate of the cluster and does not come by the Unix socket may read public routes only. */
export function createApiServer(options: ApiServerOptions): ApiServer {
  for (const { method, path, public: isPublic } of options.routes) {
    if (isPublic === true && method !== 'GET') fail('internal.bug', `${method} ${path} must not be public`);
  }
  checkSocketPath(options.socketPath);
  const stopping = new AbortController();
  const connections = new Set<Duplex>();
  const listenerFor =
    (callerOf: (request: IncomingMessage) => Caller): RequestListener =>
    (request, response) => {
      void serve(options, callerOf(request), stopping.signal, request, response);
    };
  const tlsServer = createTlsServer(
    { ...serverTls(options.tls), ...LIMITS, handshakeTimeout: HANDSHAKE_TIMEOUT_MS, noDelay: true },
    listenerFor(({ socket }) => callerByCertificate(socket)),
  );
  const socketServer = createServer(
    LIMITS,
    listenerFor(() => ({ kind: 'owner' })),
  );
  for (const server of [tlsServer, socketServer]) {
    server.maxConnections = MAX_CONNECTIONS;
    server.on('connection', (socket: Socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => upgrade(options, request, socket, head));
  }
  return {
    setIdentity: (tls) => tlsServer.setSecureContext(serverTls(tls)),
    async start() {
      await listenOnPort(tlsServer, options);
      try {
        await listenOnSocket(socketServer, options.socketPath);
      } catch (error) {
        tlsServer.close();
        throw error;
      }
      return { port: (tlsServer.address() as AddressInfo).port };
    },
    async stop(signal = AbortSignal.timeout(STOP_TIMEOUT_MS)) {
      stopping.abort();
      const closed = Promise.all([tlsServer, socketServer].map((server) => close(server)));
      const cut = () => {
        for (const connection of connections) connection.destroy();
      };
      if (signal.aborted) cut();
      else signal.addEventListener('abort', cut, { once: true });
      await closed;
      signal.removeEventListener('abort', cut);
      // Upgraded connections are nobody's requests: the server does not wait for them.
      cut();
    },
  };
}

async function serve(
  options: ApiServerOptions,
  caller: Caller,
  stopping: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let answer: ApiResponse;
  try {
    answer = await dispatch(options.routes, caller, request, AbortSignal.any([gone.signal, stopping]));
  } catch (error) {
    // Whoever went away before the answer made the handler, or the reading of the body, fail: no bug, and nobody to tell.
    if (gone.signal.aborted || request.errored !== null) return;
    answer = thrownAnswer(error);
    if ((answer.json as { error: { code: string } }).error.code === 'internal.bug') options.onError(error);
  }
  if (response.destroyed) return;
  const body = Buffer.from(`${JSON.stringify(answer.json)}\n`);
  response.writeHead(answer.status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-store',
    // What is left of a body that was not read would be taken for the next request.
    ...(request.complete && !stopping.aborted ? {} : { connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

async function dispatch(
  routes: readonly Route[],
  caller: Caller,
  request: IncomingMessage,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const url = URL.parse(request.url ?? '/', 'http://agent');
  const method = request.method ?? 'GET';
  if (url === null) return errorAnswer('api.notFound', 'the path is malformed', 400);
  const match = matchRoute(routes, method, url.pathname);
  switch (match.kind) {
    case 'none':
      return errorAnswer('api.notFound', `there is no ${url.pathname}`);
    case 'wrongMethod':
      return errorAnswer('api.notFound', `${url.pathname} takes ${match.allowed.join(', ')}, not ${method}`, 405);
    case 'route': {
      const { route, params } = match;
      // Before the body is read: a stranger's megabyte is not worth the memory.
      if (caller.kind === 'anonymous' && route.public !== true) return errorAnswer('api.forbidden', `${method} ${url.pathname}`);
      return await route.handle({ caller, params, query: url.searchParams, body: await readBody(request), signal });
    }
  }
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

function listenOnPort(server: Server, { host, listen = host, port }: ApiServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => {
      try {
        fail(error.code === 'EADDRINUSE' ? 'port.taken' : 'usage.invalidArgument', `${listen}:${port}: ${error.message}`, error);
      } catch (failure) {
        reject(failure);
      }
    };
    server.once('error', onError);
    server.listen(port, listen, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
