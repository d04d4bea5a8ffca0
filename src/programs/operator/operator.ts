import { hostname } from 'node:os';
import { createOpenServer, type OpenServer } from '#adapters/http/open-server.ts';
import type { KubeAccess } from '#adapters/kubernetes/access.ts';
import { Discovery } from '#adapters/kubernetes/discovery.ts';
import { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { electLeader } from '#adapters/kubernetes/leader-election.ts';
import { ListAndWatch } from '#adapters/kubernetes/list-and-watch.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import type { Surroundings } from '#core/cluster/surroundings.ts';
import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { EventRecorder } from './event-recorder.ts';
import { ObjectCache } from './object-cache.ts';
import { OperatorMetrics } from './operator-metrics.ts';
import { Reconciler } from './reconciler.ts';
import { WorkQueue } from './work-queue.ts';

const WORKERS = 8;
/** Kinds of objects of clusters. Of Secrets none is listed. */
const WATCHED = [
  ['v1', 'Pod'],
  ['v1', 'Service'],
  ['v1', 'ServiceAccount'],
  ['v1', 'ConfigMap'],
  ['v1', 'PersistentVolumeClaim'],
  ['apps/v1', 'StatefulSet'],
  ['apps/v1', 'Deployment'],
  ['coordination.k8s.io/v1', 'Lease'],
  ['rbac.authorization.k8s.io/v1', 'Role'],
  ['rbac.authorization.k8s.io/v1', 'RoleBinding'],
] as const;

export interface OperatorLog {
  info(part: string, text: string): void;
  warn(part: string, text: string): void;
}

export interface OperatorOptions {
  readonly access: KubeAccess;
  /** Where its Lease is. */
  readonly namespace: string;
  /** The only namespace whose clusters it looks after. Undefined: every one. */
  readonly watch: string | undefined;
  readonly image: string;
  readonly listen: { readonly host: string; readonly port: number };
  readonly log: OperatorLog;
  readonly signal: AbortSignal;
}

/** Looks after the clusters of Kubernetes until `signal` aborts. Errors: `port.taken`, `kubernetes.…` of its first calls. */
export async function runOperator(options: OperatorOptions): Promise<void> {
  const { access, namespace, log, signal } = options;
  const client = new KubeClient(access);
  const metrics = new OperatorMetrics();
  const door = openDoor(options, metrics);
  await door.start();
  try {
    const surroundings = await lookAround(client, options.image);
    const identity = `${process.env[OPERATOR.env.podName] ?? hostname()}_${process.pid}_${Date.now().toString(36)}`;
    const onTrouble = (why: string) => log.warn('leader', why);
    const lead = (leading: AbortSignal) => work({ ...options, signal: leading }, client, surroundings, metrics);
    log.info('operator', 'is up');
    await electLeader({ client, namespace, lease: OPERATOR.lease, identity, onTrouble }, lead, signal);
  } finally {
    client.close();
    await door.stop();
  }
}

/** What this Kubernetes serves. */
async function lookAround(client: KubeClient, image: string): Promise<Omit<Surroundings, 'spareMembers'>> {
  const discovery = new Discovery(client);
  const budgets = (await discovery.firstServed(['policy/v1', 'policy/v1beta1'], 'poddisruptionbudgets')) ?? 'policy/v1';
  return { image, serves: { budgets, podMonitors: await discovery.serves('monitoring.coreos.com/v1', 'podmonitors') } };
}

/** Resolves when `signal` aborts: another one leads now, or this process ends. */
async function work(
  { watch, log, signal }: OperatorOptions,
  client: KubeClient,
  surroundings: Omit<Surroundings, 'spareMembers'>,
  metrics: OperatorMetrics,
): Promise<void> {
  log.info('leader', 'this one works');
  metrics.leads.set(1);
  let listed = false;
  const cache = new ObjectCache((cluster) => listed && queue.add(cluster));
  const reconciler = new Reconciler({
    client,
    cache,
    events: new EventRecorder(client),
    surroundings,
    onAction: (key, action, said) => {
      metrics.actions.inc({ kind: action.kind });
      log.info(key, `${said}: ${action.because}`);
    },
    signal,
  });
  const queue = new WorkQueue({
    workers: WORKERS,
    work: async (key) => {
      const end = metrics.seconds.startTimer();
      try {
        return await reconciler.reconcile(key);
      } finally {
        end();
        metrics.clusters.set(cache.size);
        metrics.depth.set(queue.depth);
      }
    },
    onFailure: (key, error, failures) => {
      if (signal.aborted) return;
      metrics.failures.inc();
      log.warn(key, `${error.message} (${failures === 1 ? 'for the first time' : `${failures} times running`})`);
    },
  });
  const watches = follow(client, cache, watch, surroundings, log);
  const ended = Promise.all(watches.map((one) => one.run()));
  const stop = () => {
    for (const one of watches) one.stop();
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  // Nothing is decided on half of what there is.
  await Promise.all(watches.map((one) => one.refresh()));
  listed = true;
  for (const key of cache.keys()) queue.add(key);
  await ended;
  await queue.close();
  metrics.leads.set(0);
  log.info('leader', 'this one rests');
}

function follow(
  client: KubeClient,
  cache: ObjectCache,
  namespace: string | undefined,
  { serves }: Omit<Surroundings, 'spareMembers'>,
  log: OperatorLog,
): readonly ListAndWatch[] {
  const kinds = [
    ...WATCHED,
    [serves.budgets, 'PodDisruptionBudget'] as const,
    ...(serves.podMonitors ? [['monitoring.coreos.com/v1', 'PodMonitor'] as const] : []),
  ];
  const one = (apiVersion: string, kind: string, labels: string | undefined) => {
    const onAnswering = (failure: Error | undefined) => {
      if (failure === undefined) log.info('watch', `${kind}: listed`);
      else log.warn('watch', `${kind}: ${failure.message}`);
    };
    const collection = { type: resourceTypeOf({ apiVersion, kind }), namespace, selectors: { labels } };
    return new ListAndWatch(client, collection, cache.listener(kind, onAnswering));
  };
  const { apiVersion, kind } = POSTGRES_CLUSTER;
  return [one(apiVersion, kind, undefined), ...kinds.map(([version, name]) => one(version, name, LABEL.cluster))];
}

/** Probes and metrics. A process that waits for its turn is ready as well. */
function openDoor({ listen, log }: OperatorOptions, { registry }: OperatorMetrics): OpenServer {
  const page = (path: string, handle: () => Promise<string> | string) =>
    ({
      method: 'GET',
      path,
      public: true,
      handle: async () => ({ status: 200, text: await handle(), contentType: registry.contentType }),
    }) as const;
  return createOpenServer({
    ...listen,
    realm: 'Matriarch',
    closed: { status: 403, text: 'not public' },
    onError: (error) => log.warn('http', (error as Error).message),
    routes: [
      page(OPERATOR.probes.live, () => 'ok\n'),
      page(OPERATOR.probes.ready, () => 'ok\n'),
      page(OPERATOR.metricsPath, () => registry.metrics()),
    ],
  });
}
