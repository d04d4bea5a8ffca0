import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorAnswer, thrownAnswer } from './answers.ts';
import { readBody } from './read-body.ts';
import { type ApiResponse, type Caller, matchRoute, type Route } from './router.ts';

export interface Serving {
  readonly routes: readonly Route[];
  readonly callerOf: (request: IncomingMessage) => Caller;
  /** What whoever may not call a route is told. */
  readonly refuse: (method: string, path: string) => ApiResponse;
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal;
  /** An error in a handler that is none of the catalogue's: a bug, for the log. */
  readonly onError: (error: unknown) => void;
}

/** Answers one request by its route. */
export async function serveRequest(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { stopping } = serving;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let answer: ApiResponse;
  try {
    answer = await dispatch(serving, request, AbortSignal.any([gone.signal, stopping]));
  } catch (error) {
    // Whoever went away before the answer made the handler, or the reading of the body, fail: no bug, and nobody to tell.
    if (gone.signal.aborted || request.errored !== null) return;
    const thrown = thrownAnswer(error);
    if ((thrown.json as { error: { code: string } }).error.code === 'internal.bug') serving.onError(error);
    answer = thrown;
  }
  if (response.destroyed) return;
  const { body, contentType, headers } = render(answer);
  const withoutBody = request.method === 'HEAD' || request.method === 'OPTIONS';
  response.writeHead(answer.status, {
    'content-type': contentType,
    'content-length': request.method === 'OPTIONS' ? 0 : body.length,
    'cache-control': 'no-store',
    ...headers,
    // What is left of a body that was not read would be taken for the next request.
    ...(request.complete && !stopping.aborted ? {} : { connection: 'close' }),
  });
  response.end(withoutBody ? undefined : body);
}

function render(answer: ApiResponse) {
  if ('json' in answer)
    return { body: Buffer.from(`${JSON.stringify(answer.json)}\n`), contentType: 'application/json', headers: {} };
  const { text, contentType = 'text/plain; charset=utf-8', headers = {} } = answer;
  return { body: Buffer.from(text), contentType, headers };
}

async function dispatch(serving: Serving, request: IncomingMessage, signal: AbortSignal): Promise<ApiResponse> {
  const url = URL.parse(request.url ?? '/', 'http://agent');
  const method = request.method ?? 'GET';
  if (url === null) return errorAnswer('api.notFound', 'the path is malformed', 400);
  const match = matchRoute(serving.routes, method, url.pathname);
  switch (match.kind) {
    case 'none':
      return errorAnswer('api.notFound', `there is no ${url.pathname}`);
    case 'wrongMethod':
      return errorAnswer('api.notFound', `${url.pathname} takes ${match.allowed.join(', ')}, not ${method}`, 405);
    case 'route': {
      const { route, params } = match;
      const caller = serving.callerOf(request);
      // Before the body is read: a stranger's megabyte is not worth the memory.
      const allowed =
        route.public === true || (caller.kind === 'proxy' ? route.forProxies === true : caller.kind !== 'anonymous');
      if (!allowed) return serving.refuse(method, url.pathname);
      const body = route.method === 'GET' ? undefined : await readBody(request);
      return await route.handle({ caller, params, path: url.pathname, query: url.searchParams, body, signal });
    }
  }
}
