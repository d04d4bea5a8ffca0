import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { request as httpRequest } from '../../http/node-http.ts';
import { EtcdFailure, toFailure } from './failures.ts';

/** Beyond this an answer is not read on; lists are asked for in pages that stay below. */
const MAX_ANSWER_BYTES = 8 << 20;
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
export interface Peer {
  readonly url: URL;
  readonly secureContext: SecureContext | undefined;
  /** False: a connection of its own. */
  readonly agent: Agent | false;
}

export interface Post {
  readonly path: string;
  readonly payload: Buffer;
  readonly headers: OutgoingHttpHeaders;
  readonly signal: AbortSignal;
  /** Called when bytes of the request may reach the other end, never before. */
  readonly onSent: () => void;
}

/** Posts JSON and reads the whole answer. Rejects with EtcdFailure, or with the reason of `signal`. */
export async function exchange(peer: Peer, post: Post): Promise<{ readonly status: number; readonly text: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const status = await stream(peer, post, (chunk) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new EtcdFailure('store.unavailable', `an answer of more than ${MAX_ANSWER_BYTES} bytes`, { remedy: 'smaller' });
    }
    chunks.push(chunk);
  });
  return { status, text: Buffer.concat(chunks).toString('utf8') };
}

/**
 * Posts JSON and hands over each piece of the answer as it comes; resolves with the HTTP status at its end. What `onChunk` throws
 * ends it.
 */
export function stream(peer: Peer, post: Post, onChunk: (chunk: Buffer) => void): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  let sent = false;
  const onSent = () => {
    sent = true;
    post.onSent();
  };
  const request = open(peer, post);
  const lose = (error: unknown) => {
    request.destroy();
    reject(post.signal.aborted ? post.signal.reason : toFailure(error, sent));
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
    if (!sent || peer.agent === false) return lose(post.signal.reason);
    // A late answer is read and thrown away: over a slow wire a new connection would cost the next call its time as well.
    const timer = setTimeout(() => request.destroy(), LATE_ANSWER_MS);
    request.once('close', () => clearTimeout(timer));
    reject(post.signal.reason);
  };
  const forget = () => post.signal.removeEventListener('abort', onAbort);
  post.signal.addEventListener('abort', onAbort, { once: true });
  promise.then(forget, forget);
  request.on('response', (response: IncomingMessage) => {
    // At its end it has let go of it.
    const { socket } = response;
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
      resolve(response.statusCode ?? 0);
    });
    // Cut off in the middle: neither 'end' nor, in every case, 'error'.
    response.on('close', () => {
      if (!response.readableEnded) lose(new Error('the connection ended within the answer'));
    });
  });
  request.end(post.payload);
  return promise;
}

function open({ url, secureContext, agent }: Peer, { path, payload, headers }: Post): ClientRequest {
  const options = {
    method: 'POST',
    // Without the brackets of an IPv6 address.
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    path: `/v3/${path}`,
    headers: { ...headers, 'content-type': 'application/json', 'content-length': payload.length },
    agent,
  };
  if (url.protocol === 'http:') return httpRequest(options);
  return httpsRequest({ ...options, ...(secureContext === undefined ? {} : { secureContext }) });
}

function isTls({ url }: Peer): boolean {
  return url.protocol === 'https:';
}
