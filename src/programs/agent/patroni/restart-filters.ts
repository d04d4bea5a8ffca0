import { fail } from '#domain/errors.ts';
import type { PatroniView } from './patroni-view.ts';

const TIMEOUT_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** Nobody waits longer for any request. */
const TIMEOUT_MAX_MS = 600_000;

export interface RestartRequest {
  readonly role?: 'primary' | 'replica';
  /** Only a server that is older: `server_version_num`. */
  readonly olderThan?: number;
  readonly onlyPending: boolean;
  readonly timeoutMs?: number;
  readonly scheduled: boolean;
}

/** The body of `POST /restart`. Errors: `api.malformed`. */
export function readRestart(body: unknown): RestartRequest {
  const given = body ?? {};
  if (typeof given !== 'object' || Array.isArray(given)) return fail('api.malformed', 'the body must be an object');
  const { role, postgres_version: version, timeout, restart_pending: pending, schedule, ...others } = given as Body;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return fail('api.malformed', `Unknown filter for the restart: ${unknown}`);
  return {
    ...(role === undefined ? {} : { role: readRole(role) }),
    ...(version === undefined ? {} : { olderThan: readVersion(version) }),
    ...(timeout === undefined ? {} : { timeoutMs: readTimeout(timeout) }),
    onlyPending: readPending(pending),
    scheduled: schedule !== undefined && schedule !== null,
  };
}

/** Why the restart is not for this member; null when it is. `pending` undefined: nobody can say. */
export function whyNoRestart(request: RestartRequest, view: PatroniView, pending: readonly string[] | undefined): string | null {
  const role = view.role === 'primary' ? 'primary' : 'replica';
  if (request.role !== undefined && request.role !== role) return `its role is ${role}`;
  if (request.olderThan !== undefined && (view.notes === null || view.notes.version >= request.olderThan))
    return view.notes === null ? 'its version is not known' : `its version is ${view.notes.version}`;
  if (request.onlyPending && pending !== undefined && pending.length === 0) return 'no parameter waits for a restart';
  if (request.onlyPending && pending === undefined) return 'whether a parameter waits for a restart is not known';
  return null;
}

type Body = {
  readonly role?: unknown;
  readonly postgres_version?: unknown;
  readonly timeout?: unknown;
  readonly restart_pending?: unknown;
  readonly schedule?: unknown;
};

function readRole(role: unknown): 'primary' | 'replica' {
  if (role === 'primary' || role === 'master') return 'primary';
  if (role === 'replica') return 'replica';
  return fail('api.malformed', 'role: PostgreSQL role should be either primary or replica');
}

function readPending(pending: unknown): boolean {
  if (pending === undefined || pending === null) return false;
  if (typeof pending === 'boolean') return pending;
  return fail('api.malformed', 'restart_pending: must be true or false');
}

/** `15.4` is 150004; nothing older than 10 runs here, so there are two parts. */
function readVersion(version: unknown): number {
  const match = /^(\d{1,3})(?:\.(\d{1,3}))?$/.exec(String(version));
  if (match === null) return fail('api.malformed', 'postgres_version: must be a version such as 15.4');
  return Number(match[1]) * 10_000 + Number(match[2] ?? 0);
}

/** Seconds, or text with a unit. */
function readTimeout(timeout: unknown): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|min|h)?$/.exec(String(timeout).trim());
  const ms = Number(match?.[1]) * (TIMEOUT_UNITS[match?.[2] ?? 's'] ?? Number.NaN);
  if (ms > 0) return Math.min(ms, TIMEOUT_MAX_MS);
  return fail('api.malformed', 'timeout: Timeout should be a positive number of seconds');
}
