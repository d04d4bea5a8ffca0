import type { ApiResponse, Route } from '#adapters/http/router.ts';
import { readHistoryEntry } from '../shapes.ts';
import { KEYS } from '../store-feed.ts';
import { changeConfig, reload } from './change-config.ts';
import { clusterView } from './cluster-view.ts';
import { patchConfig, replaceConfig } from './config-changes.ts';
import { configView } from './config-view.ts';
import { HEALTH_PATHS, isHealthy } from './health-paths.ts';
import { historyView } from './history-view.ts';
import { METRICS_TYPE, renderMetrics } from './metrics.ts';
import { patroniStatus } from './patroni-status.ts';
import type { PatroniWorld } from './patroni-world.ts';
import { reinitialize, restart } from './serve-restart.ts';
import { SharedQuestion } from './shared-question.ts';
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
  return [...questions(world), ...calls(world), health(world, '*')];
}

function questions(world: PatroniWorld): readonly Route[] {
  const { options } = world;
  const cluster = new SharedQuestion(() => wholeCluster(world));
  const history = new SharedQuestion(() => options.store.list(KEYS.history));
  return [
    open('/patroni', async () => ok(patroniStatus(world.view(), await world.fully()))),
    open('/cluster', async () => ok(await cluster.answer())),
    open('/history', async () => {
      const entries = (await history.answer()).map((row) => readHistoryEntry(row.value));
      return ok(historyView(entries.filter((entry) => entry !== undefined)));
    }),
    open('/config', async ({ signal }) => ok(configView((await world.config.read(signal)).config))),
    open('/metrics', async () => ({
      status: 200,
      text: renderMetrics(options.state(), world.view(), await world.fully()),
      contentType: METRICS_TYPE,
    })),
  ];
}

function calls(world: PatroniWorld): readonly Route[] {
  /** Who called what stands in the log; with what stays out of it. */
  const call = (method: Route['method'], path: string, handle: Route['handle']): Route => ({
    method,
    path,
    handle: (request) => {
      const by = request.caller.kind === 'person' ? request.caller.name : request.caller.kind;
      world.options.log.info('patroni', `${method} ${path} by ${by}`);
      return handle(request);
    },
  });
  const nothing = (text: string) => () => ({ status: 404, text });
  return [
    call('PATCH', '/config', ({ body, signal }) => changeConfig(world, (config) => patchConfig(config, body), signal)),
    call('PUT', '/config', ({ body, signal }) => changeConfig(world, (config) => replaceConfig(config, body), signal)),
    call('POST', '/switchover', (request) => switchLeader(world, 'switchover', request)),
    call('POST', '/failover', (request) => switchLeader(world, 'failover', request)),
    call('DELETE', '/switchover', nothing('no switchover is scheduled')),
    call('POST', '/restart', (request) => restart(world, request)),
    call('DELETE', '/restart', nothing('no restarts are scheduled')),
    call('POST', '/reload', () => {
      void reload(world);
      return { status: 202, text: 'reload scheduled' };
    }),
    call('POST', '/reinitialize', () => reinitialize(world)),
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
async function wholeCluster(world: PatroniWorld): Promise<unknown> {
  const { state } = world.options;
  const leader = state().record?.value?.member;
  if (leader !== undefined && leader !== state().self.name && state().members[leader] !== undefined) {
    try {
      return (await askMember(world, leader, 'GET', '/patroni/cluster', { timeoutMs: CLUSTER_TIMEOUT_MS })).json;
    } catch {
      // It is told below that the lags are not known.
    }
  }
  return clusterView(state(), world.view());
}
