import { parseBytes } from '#domain/config/quantity.ts';
import type { PatroniView } from './patroni-view.ts';
import { tagsMatch } from './tag-names.ts';

/** The paths of Patroni's health checks. `/health` stands apart: the agent's own API has one of its own. */
export const HEALTH_PATHS = [
  '/',
  '/primary',
  '/master',
  '/read-write',
  '/leader',
  '/standby-leader',
  '/standby_leader',
  '/replica',
  '/read-only',
  '/sync',
  '/synchronous',
  '/read-only-sync',
  '/read-only-synchronous',
  '/quorum',
  '/read-only-quorum',
  '/async',
  '/asynchronous',
  '/liveness',
  '/readiness',
] as const;

type Check = (view: PatroniView, query: URLSearchParams) => boolean;

const primary: Check = (view) => view.leads;
const replica: Check = (view, query) =>
  view.replica && isWithin(lagOf(view, 'apply'), limitOf(query)) && streamsAsAsked(view, query) && tagsMatch(query, view.tags);
const synchronous: Check = (view, query) => view.sync !== 'none' && view.streaming && replica(view, query);
const asynchronous: Check = (view, query) => view.sync === 'none' && view.streaming && replica(view, query);
const either =
  (check: Check): Check =>
  (view, query) =>
    check(view, query) || (view.leads && tagsMatch(query, view.tags));
const never: Check = () => false;
const running: Check = (view, query) => view.state === 'running' && tagsMatch(query, view.tags);

/** As Patroni looks for them: anywhere in the path, the first that fits. */
const BY_WORD: readonly (readonly [word: RegExp, check: Check])[] = [
  [/standby[-_]leader/, never],
  [/leader|master|primary|read-write/, primary],
  [/replica/, replica],
  [/read-only-(sync|synchronous|quorum)$/, either(synchronous)],
  [/read-only/, either(replica)],
  [/health/, running],
  [/^\/(sync|synchronous|quorum)$/, synchronous],
  [/^\/(async|asynchronous)$/, asynchronous],
];

/** Does the member answer the check of this path with 200? Whatever is no check of Patroni's: no. */
export function isHealthy(view: PatroniView, path: string, query: URLSearchParams): boolean {
  if (path === '/') return primary(view, query);
  if (path === '/liveness') return isAlive(view);
  if (path === '/readiness') return isReady(view, query);
  return BY_WORD.find(([word]) => word.test(path))?.[1](view, query) ?? false;
}

/** The decisions are gone through; a replica has twice as long, since nothing depends on its guard. */
function isAlive({ paused, loopSilentMs, leaseMs, role }: PatroniView): boolean {
  return paused || loopSilentMs < leaseMs * (role === 'primary' ? 1 : 2);
}

function isReady(view: PatroniView, query: URLSearchParams): boolean {
  if (view.leads) return true;
  const mode = query.get('mode') === 'write' ? 'write' : 'apply';
  return view.replica && view.streaming && isWithin(lagOf(view, mode), limitOf(query) ?? view.maximumLagOnFailoverBytes);
}

function streamsAsAsked({ streaming }: PatroniView, query: URLSearchParams): boolean {
  const wanted = query.get('replication_state');
  return wanted === null || wanted === '' || (wanted === 'streaming' && streaming);
}

/** How far a standby is behind the leader, in bytes; undefined when nobody can say. `write`: what it has, `apply`: what it shows. */
export function lagOf(view: PatroniView, mode: 'write' | 'apply'): number | undefined {
  const reached = mode === 'write' ? view.received : view.replayed;
  if (reached === null || view.leaderLocation === null) return undefined;
  return view.leaderLocation > reached ? Number(view.leaderLocation - reached) : 0;
}

/** Undefined: none was asked for, or none that can be read, which Patroni takes for none. */
function limitOf(query: URLSearchParams): number | undefined {
  const text = query.get('lag')?.trim();
  if (text === undefined) return undefined;
  return /^\d+$/.test(text) ? Number(text) : parseBytes(text);
}

/** A lag that nobody can say is within no limit: the leader may be far ahead by now. */
function isWithin(lag: number | undefined, limit: number | undefined): boolean {
  return limit === undefined || (lag !== undefined && lag <= limit);
}
