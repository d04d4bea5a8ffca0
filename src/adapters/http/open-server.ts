import type { RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { type Login, provesLogin } from './basic-authentication.ts';
import { LIMITS, Listening, listenOnPort, TLS_LIMITS } from './listening.ts';
import { createServer } from './node-http.ts';
import { type ApiResponse, type Caller, type Route, refuseOpenWrites } from './router.ts';
import { serveRequest } from './serve-request.ts';

export interface OpenServerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** HTTPS with this certificate; default plain HTTP. Clients need none. */
  readonly tls?: Pick<TlsIdentity, 'certificate' | 'key'>;
  /** Whoever may call what is not public, by Basic authentication. Default: nobody. */
  readonly login?: Login;
  /** What whoever asks for authentication is shown. */
  readonly realm: string;
  /** What is answered to calls that are not public while there is no `login`. */
  readonly closed: ApiResponse;
  readonly routes: readonly Route[];
  readonly onError: (error: unknown) => void;
}

export interface OpenServer {
  /** Errors: `port.taken`. */
  start(): Promise<{ readonly port: number }>;
  /** For connections from now on. Nothing for plain HTTP. */
  setIdentity(tls: Pick<TlsIdentity, 'certificate' | 'key'>): void;
  stop(signal?: AbortSignal): Promise<void>;
}

/** A port for people's tools: anybody may read the public routes, and with the password call the others. */
export function createOpenServer(options: OpenServerOptions): OpenServer {
  const { tls, login, realm } = options;
  refuseOpenWrites(options.routes);
  const refuse = (): ApiResponse =>
    login === undefined
      ? options.closed
      : { status: 401, text: 'not authenticated', headers: { 'www-authenticate': `Basic realm="${realm}"` } };
  const callerOf = (header: string | undefined): Caller =>
    login !== undefined && provesLogin(header, login) ? { kind: 'person', name: login.username } : { kind: 'anonymous' };
  const listener: RequestListener = (request, response) => {
    const serving = { ...options, refuse, stopping: listening.stopping };
    void serveRequest({ ...serving, callerOf: ({ headers }) => callerOf(headers.authorization) }, request, response);
  };
  const server =
    tls === undefined
      ? createServer(LIMITS, listener)
      : createTlsServer({ cert: tls.certificate, key: tls.key, minVersion: 'TLSv1.2', ...LIMITS, ...TLS_LIMITS }, listener);
  const listening = new Listening([server]);
  return {
    start: async () => ({ port: await listenOnPort(server, options.host, options.port) }),
    setIdentity({ certificate, key }) {
      if ('setSecureContext' in server) server.setSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
    },
    stop: (signal) => listening.stop(signal),
  };
}
