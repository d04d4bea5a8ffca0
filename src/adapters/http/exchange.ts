import type { Agent, ClientRequest, IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { request as httpRequest } from './node-http.ts';

/** An answer that nobody waits for any more is waited for so long, for the sake of its connection. */
const LATE_ANSWER_MS = 5000;
/** How long a connection is idle before the kernel asks whether the other end is still there. */
const TCP_KEEP_ALIVE_MS = 1000;

const answers = new WeakMap<Socket, number>();

/** When the connection brought its last whole answer, by performance.now(). */
export function lastAnswerAt(socket: Socket): number {
  return answers.get(socket) ?? -Infinity;
}

/** What is at the other end. */
export interface HttpPeer {
  readonly url: URL;
  /** Undefined: what Node.js trusts. */
  readonly secureContext: SecureContext | undefined;
  /** The name that its certificate has to be for, where that is not the host of `url`. */
  readonly servername?: string | undefined;
  /** True: whoever answers is trusted. */
  readonly insecure?: boolean | undefined;
  /** False: a connection of its own. */
  readonly agent: Agent | false;
  /** What a call rejects with. `sent`: the request may have reached the other end. */
  readonly toFailure: (error: unknown, sent: boolean) => Error;
}

export interface HttpCall {
  readonly method: string;
  /** With its query; it begins with a slash. */
  readonly path: string;
  readonly payload?: Buffer | undefined;
  readonly headers: OutgoingHttpHeaders;
  readonly signal: AbortSignal;
  /** Called when bytes of the request may reach the other end, never before. */
  readonly onSent?: () => void;
}

export interface HttpHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** Beyond the limit an answer is not read on. */
export class AnswerTooLarge extends Error {}

/** Calls, and reads the whole answer. Rejects with what `toFailure` makes of the error, or with the reason of `signal`. */
export async function exchange(
  peer: HttpPeer,
  call: HttpCall,
  maxAnswerBytes: number,
): Promise<HttpHead & { readonly text: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const head = await stream(peer, call, () => (chunk) => {
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new AnswerTooLarge(`an answer of more than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  });
  return { ...head, text: Buffer.concat(chunks).toString('utf8') };
}

/**
 * Calls, and hands over each piece of the answer as it comes to what `begin` gives when the answer begins; resolves at its end. What
 * either throws ends it.
 */
export function stream(peer: HttpPeer, call: HttpCall, begin: (head: HttpHead) => (chunk: Buffer) => void): Promise<HttpHead> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpHead>();
  let sent = false;
  const onSent = () => {
    sent = true;
    call.onSent?.();
  };
  const request = open(peer, call);
  const lose = (error: unknown) => {
    request.destroy();
    reject(call.signal.aborted ? call.signal.reason : peer.toFailure(error, sent));
  };
  request.on('socket', (socket) => {
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    // One that waited for a connection of another request gets it open, and is not told so (`reusedSocket`).
    const { secureConnecting } = socket as { secureConnecting?: boolean };
    if (!socket.connecting && secureConnecting !== true) onSent();
    else socket.once(isTls(peer) ? 'secureConnect' : 'connect', onSent);
  });
  request.on('error', lose);
  const onAbort = () => {
    // A request that still waits for a connection leaves it to the next; a stream has one of its own.
    if (!sent || peer.agent === false) return lose(call.signal.reason);
    // A late answer is read and thrown away: over a slow wire a new connection would cost the next call its time as well.
    const timer = setTimeout(() => request.destroy(), LATE_ANSWER_MS);
    request.once('close', () => clearTimeout(timer));
    reject(call.signal.reason);
  };
  const forget = () => call.signal.removeEventListener('abort', onAbort);
  call.signal.addEventListener('abort', onAbort, { once: true });
  promise.then(forget, forget);
  request.on('response', (response) => read(response, begin, lose, resolve));
  request.end(call.payload);
  return promise;
}

function read(
  response: IncomingMessage,
  begin: (head: HttpHead) => (chunk: Buffer) => void,
  lose: (error: unknown) => void,
  resolve: (head: HttpHead) => void,
): void {
  // At its end it has let go of it.
  const { socket } = response;
  const head = { status: response.statusCode ?? 0, headers: response.headers };
  let onChunk: (chunk: Buffer) => void;
  try {
    onChunk = begin(head);
  } catch (error) {
    return lose(error);
  }
  response.on('data', (chunk: Buffer) => {
    try {
      onChunk(chunk);
    } catch (error) {
      lose(error);
    }
  });
  response.on('error', lose);
  response.on('end', () => {
    answers.set(socket, performance.now());
    resolve(head);
  });
  // Cut off in the middle: neither 'end' nor, in every case, 'error'.
  response.on('close', () => {
    if (!response.readableEnded) lose(new Error('the connection ended within the answer'));
  });
}

function open(
  { url, secureContext, servername, insecure, agent }: HttpPeer,
  { method, path, payload, headers }: HttpCall,
): ClientRequest {
  const options = {
    method,
    // Without the brackets of an IPv6 address.
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    path,
    headers: payload === undefined ? headers : { ...headers, 'content-length': payload.length },
    agent,
  };
  if (url.protocol === 'http:') return httpRequest(options);
  return httpsRequest({
    ...options,
    ...(secureContext === undefined ? {} : { secureContext }),
    ...(servername === undefined ? {} : { servername }),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
  });
}

function isTls({ url }: HttpPeer): boolean {
  return url.protocol === 'https:';
}
