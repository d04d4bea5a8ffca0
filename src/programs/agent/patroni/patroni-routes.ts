import type { ApiResponse, Route } from '#adapters/http/router.ts';
import { readHistoryEntry } from '../shapes.ts';
import { KEYS } from '../store-feed.ts';
import { changeConfig, readConfig, reload } from './change-config.ts';
import { clusterView } from './cluster-view.ts';
import { patchConfig, replaceConfig } from './config-changes.ts';
import { configView } from './config-view.ts';
import { HEALTH_PATHS, isHealthy } from './health-paths.ts';
import { historyView } from './history-view.ts';
import { METRICS_TYPE, renderMetrics } from './metrics.ts';
import { patroniStatus } from './patroni-status.ts';
import type { PatroniWorld } from './patroni-world.ts';
import { reinitialize, restart } from './serve-restart.ts';
import { askMember, switchLeader, switchLeaderForPeer } from './switch-leader.ts';

const CLUSTER_TIMEOUT_MS = 1000;

/** What speaks Patroni on the agent's own API: the health checks, which harm nobody, and what members ask of one another. */
export function peerRoutes(world: PatroniWorld): readonly Route[] {
  return [
    ...HEALTH_PATHS.map((path) => health(world, path)),
    { method: 'POST', path: '/patroni/switchover', handle: (request) => switchLeaderForPeer(world, request) },
    { method: 'GET', path: '/patroni/cluster', handle: () => ok(clusterView(world.options.state(), world.view())) },
  ];
}

/** All of Patroni's API. Questions are open to everybody. */
export function doorRoutes(world: PatroniWorld): readonly Route[] {
  const { options } = world;
  return [
    open('/patroni', async () => ok(patroniStatus(world.view(), await world.fully()))),
    open('/cluster', async ({ signal }) => ok(await wholeCluster(world, signal))),
    open('/history', async ({ signal }) => {
      const rows = await options.store.list(KEYS.history, { signal });
      return ok(historyView(rows.map((row) => readHistoryEntry(row.value)).filter((entry) => entry !== undefined)));
    }),
    open('/config', async ({ signal }) => ok(configView((await readConfig(world, signal)).config))),
    open('/metrics', async () => ({
      status: 200,
      text: renderMetrics(options.state(), world.view(), await world.fully()),
      contentType: METRICS_TYPE,
    })),
    {
      method: 'PATCH',
      path: '/config',
      handle: ({ body, signal }) => changeConfig(world, (config) => patchConfig(config, body), signal),
    },
    {
      method: 'PUT',
      path: '/config',
      handle: ({ body, signal }) => changeConfig(world, (config) => replaceConfig(config, body), signal),
    },
    { method: 'POST', path: '/switchover', handle: (request) => switchLeader(world, 'switchover', request) },
    { method: 'POST', path: '/failover', handle: (request) => switchLeader(world, 'failover', request) },
    { method: 'DELETE', path: '/switchover', handle: () => ({ status: 404, text: 'no switchover is scheduled' }) },
    { method: 'POST', path: '/restart', handle: (request) => restart(world, request) },
    { method: 'DELETE', path: '/restart', handle: () => ({ status: 404, text: 'no restarts are scheduled' }) },
    {
      method: 'POST',
      path: '/reload',
      handle: () => {
        void reload(world);
        return { status: 202, text: 'reload scheduled' };
      },
    },
    { method: 'POST', path: '/reinitialize', handle: () => reinitialize(world) },
    health(world, '*'),
  ];
}

const ok = (json: unknown): ApiResponse => ({ status: 200, json });

function open(path: string, handle: Route['handle']): Route {
  return { method: 'GET', path, public: true, handle };
}

function health(world: PatroniWorld, path: string): Route {
  return open(path, (request) => {
    const view = world.view();
    return { status: isHealthy(view, request.path, request.query) ? 200 : 503, json: patroniStatus(view, world.briefly()) };
  });
}

/** The leader knows how far everybody is; where it does not answer, this member tells what it knows. */
async function wholeCluster(world: PatroniWorld, signal: AbortSignal): Promise<unknown> {
  const { state } = world.options;
  const leader = state().record?.value?.member;
  if (leader !== undefined && leader !== state().self.name && state().members[leader] !== undefined) {
    try {
      const call = { timeoutMs: CLUSTER_TIMEOUT_MS, signal };
      return (await askMember(world, leader, 'GET', '/patroni/cluster', call)).json;
    } catch {
      signal.throwIfAborted();
    }
  }
  return clusterView(state(), world.view());
}
