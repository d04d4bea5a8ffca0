import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { fail, isErrorCode, MatriarchError } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import { clientTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { request as httpRequest } from './node-http.ts';
import type { JsonResponse, Route } from './router.ts';
import { checkSocketPath } from './unix-socket.ts';

export type ApiTarget =
  | { readonly socketPath: string }
  /** `name`: the member that has to be there; another one of the cluster is refused. */
  | { readonly host: string; readonly port: number; readonly name: MemberName; readonly tls: TlsIdentity };

export interface CallOptions {
  readonly body?: unknown;
  /** For the whole call. Default 5000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const DEFAULT_TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 16 << 20;

/**
 * Calls an agent's API once. An error that the agent answers with is thrown with its own code, message and all. Other errors:
 * `agent.unreachable` (nobody there, or no answer in time: nothing is known about the effect), `agent.badAnswer`.
 */
export async function callApi(
  target: ApiTarget,
  method: Route['method'],
  path: string,
  options: CallOptions = {},
): Promise<JsonResponse> {
  const { body, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  const place = 'socketPath' in target ? target.socketPath : `${target.name} at ${target.host}:${target.port}`;
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  let response: { readonly status: number; readonly text: string };
  try {
    response = await exchange(target, method, path, payload, signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof MatriarchError) throw error;
    const why = timeout.aborted ? `no answer within ${timeoutMs} ms` : (error as Error).message;
    return fail('agent.unreachable', `${place}: ${why}`, error);
  }
  const json = parse(response.text, place);
  throwAnsweredError(json);
  return { status: response.status, json };
}

function exchange(
  target: ApiTarget,
  method: string,
  path: string,
  payload: Buffer | undefined,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
  const headers = payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length };
  const request = open(target, { method, path, headers, agent: false, signal });
  request.on('error', reject);
  request.on('response', (response: IncomingMessage) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) request.destroy(new Error('the answer is too large'));
      else chunks.push(chunk);
    });
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
  });
  request.end(payload);
  return promise;
}

function open(target: ApiTarget, options: RequestOptions): ClientRequest {
  if ('socketPath' in target) {
    checkSocketPath(target.socketPath);
    return httpRequest({ ...options, socketPath: target.socketPath });
  }
  return httpsRequest({ ...options, host: target.host, port: target.port, ...clientTls(target.tls, target.name) });
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return fail('agent.badAnswer', `${place}: the answer is not JSON`);
  }
}

function throwAnsweredError(json: unknown): void {
  const error = (json as { error?: { code?: unknown; message?: unknown } } | null)?.error;
  if (error === undefined) return;
  const { code, message } = error;
  if (typeof code === 'string' && isErrorCode(code)) fail(code, String(message));
  fail('agent.badAnswer', `an unknown error ${JSON.stringify(code)}: ${String(message)}`);
}
