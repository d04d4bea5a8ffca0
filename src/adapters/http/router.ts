import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';

/**
 * Who asks: the owner of the folder by the Unix socket, a member or a proxy by its certificate, a person by a password, or anybody.
 */
export type Caller =
  | { readonly kind: 'owner' }
  | { readonly kind: 'member'; readonly name: MemberName }
  | { readonly kind: 'proxy'; readonly name: string }
  | { readonly kind: 'person'; readonly name: string }
  | { readonly kind: 'anonymous' };

export interface ApiRequest {
  readonly caller: Caller;
  /** The parts of the path that the route names, decoded: `/members/:name` has `name`. */
  readonly params: Readonly<Record<string, string>>;
  readonly path: string;
  readonly query: URLSearchParams;
  /** The JSON of the body; undefined without one, and for GET. */
  readonly body: unknown;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

export interface JsonResponse {
  readonly status: number;
  readonly json: unknown;
}

export interface TextResponse {
  readonly status: number;
  readonly text: string;
  /** Default `text/plain; charset=utf-8`. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type ApiResponse = JsonResponse | TextResponse;

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Segments, of which those with a colon match anything: `/members/:name`. `*` alone: every path. */
  readonly path: string;
  /** May be read without a certificate, such as a health check. GET only. Default false. */
  readonly public?: boolean;
  /** A proxy may call it by its certificate; what is public, it may as anybody. Default false. */
  readonly forProxies?: boolean;
  /** A MatriarchError that it throws is answered with its code; anything else is a bug, answered as such. */
  handle(request: ApiRequest): ApiResponse | Promise<ApiResponse>;
}

export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'wrongMethod'; readonly allowed: readonly string[] }
  | { readonly kind: 'none' };

/** Nobody changes anything without having shown who he is. */
export function refuseOpenWrites(routes: readonly Route[]): void {
  for (const { method, path, public: isPublic } of routes) {
    if (isPublic === true && method !== 'GET') fail('internal.bug', `${method} ${path} must not be public`);
  }
}

/** Finds the route of a path. The first of the list wins. HEAD is answered by GET, and so is OPTIONS where GET is public. */
export function matchRoute(routes: readonly Route[], method: string, path: string): Match {
  const allowed: string[] = [];
  for (const route of routes) {
    const params = matchPath(route.path, path);
    if (params === undefined) continue;
    const asGet = method === 'HEAD' || (method === 'OPTIONS' && route.public === true);
    if (route.method === (asGet ? 'GET' : method)) return { kind: 'route', route, params };
    allowed.push(route.method);
  }
  return allowed.length === 0 ? { kind: 'none' } : { kind: 'wrongMethod', allowed };
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  if (pattern === '*') return {};
  const wanted = pattern.split('/');
  const given = path.split('/');
  if (wanted.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const segment = given[index] ?? '';
    if (part.startsWith(':')) {
      const value = decode(segment);
      if (value === undefined || value === '') return undefined;
      params[part.slice(1)] = value;
    } else if (part !== segment) {
      return undefined;
    }
  }
  return params;
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
