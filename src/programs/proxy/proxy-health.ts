import type { TopologyView } from '#domain/ports/topology.ts';
import type { PROXY_STATES, ProxyHealth } from '#domain/proxy-health.ts';
import type { ProxyStats } from './proxy-stats.ts';

export type ProxyState = (typeof PROXY_STATES)[number];

export interface HealthSight {
  readonly view: TopologyView;
  readonly stats: ProxyStats;
  readonly draining: boolean;
  /** For how long there has been no primary; 0 while there is one. */
  readonly withoutPrimaryMs: number;
  /** How long work is held. */
  readonly holdMs: number;
}

function stateOf({ view, draining, withoutPrimaryMs, holdMs }: HealthSight): ProxyState {
  if (draining) return 'draining';
  if (view.primary !== null) return view.holding ? 'holding' : 'serving';
  return withoutPrimaryMs <= holdMs ? 'holding' : 'withoutPrimary';
}

/** The answer to `GET /health`: 200 while a client that comes now will be served, if only after a while. */
export function describeHealth(sight: HealthSight): { readonly status: number; readonly json: ProxyHealth } {
  const { view, stats } = sight;
  const state = stateOf(sight);
  const pools = [...stats.pools.values()];
  const servers = pools.reduce((sum, { servers: { active, idle } }) => sum + active + idle, 0);
  return {
    status: state === 'serving' || state === 'holding' ? 200 : 503,
    json: {
      state,
      pid: process.pid,
      epoch: view.epoch,
      primary: view.primary?.name ?? null,
      clients: stats.clients.connected,
      waiting: stats.clients.waiting,
      servers,
    },
  };
}
