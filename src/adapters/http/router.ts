import type { MemberName } from '#domain/member.ts';

/** Who asks: the owner of the folder by the Unix socket, a member by its certificate, or anybody. */
export type Caller =
  | { readonly kind: 'owner' }
  | { readonly kind: 'member'; readonly name: MemberName }
  | { readonly kind: 'anonymous' };

export interface ApiRequest {
  readonly caller: Caller;
  /** The parts of the path that the route names, decoded: `/members/:name` has `name`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON of the body; undefined without one. */
  readonly body: unknown;
  /** Aborts when the client goes away or the server stops. */
  readonly signal: AbortSignal;
}

export interface ApiResponse {
  readonly status: number;
  readonly json: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Segments, of which those with a colon match anything: `/members/:name`. */
  readonly path: string;
  /** May be read without a certificate, such as a health check. GET only. Default false. */
  readonly public?: boolean;
  /** A MatriarchError that it throws is answered with its code; anything else is a bug, answered as such. */
  handle(request: ApiRequest): ApiResponse | Promise<ApiResponse>;
}

export type Match =
  | { readonly kind: 'route'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'wrongMethod'; readonly allowed: readonly string[] }
  | { readonly kind: 'none' };

/** Finds the route of a path. The first of the list wins. HEAD is answered by GET. */
export function matchRoute(routes: readonly Route[], method: string, path: string): Match {
  const allowed: string[] = [];
  for (const route of routes) {
    const params = matchPath(route.path, path);
    if (params === undefined) continue;
    if (route.method === (method === 'HEAD' ? 'GET' : method)) return { kind: 'route', route, params };
    allowed.push(route.method);
  }
  return allowed.length === 0 ? { kind: 'none' } : { kind: 'wrongMethod', allowed };
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
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
