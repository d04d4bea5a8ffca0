import { KubeFailure } from '#adapters/kubernetes/failures.ts';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import type { Action, Refusal } from '#core/cluster/action.ts';
import { clusterStatus, failedStatus, invalidStatus } from '#core/cluster/conditions.ts';
import { deletionPlan } from '#core/cluster/deletion.ts';
import { needsApply } from '#core/cluster/needs-apply.ts';
import type { Observed } from '#core/cluster/observed.ts';
import { plan } from '#core/cluster/plan.ts';
import type { Surroundings } from '#core/cluster/surroundings.ts';
import { POSTGRES_CLUSTER, type PostgresCluster, parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { PostgresClusterStatus } from '#domain/config/postgres-cluster-status.ts';
import { MatriarchError } from '#domain/errors.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { FINALIZER } from '#domain/kubernetes/operator-layout.ts';
import { AgentCalls } from './agent-calls.ts';
import { clusterRecords } from './cluster-records.ts';
import { ClusterSecretsKeeper, type KeptSecrets } from './cluster-secrets-keeper.ts';
import { DeclaredKeeper } from './declared-keeper.ts';
import type { EventRecorder } from './event-recorder.ts';
import type { ObjectCache } from './object-cache.ts';
import { Patience } from './patience.ts';
import { FIELD_MANAGER, performAction } from './perform-action.ts';

/** Until what was just asked for is looked at. */
const SOON_MS = 3000;
const RESOURCES = resourceTypeOf(POSTGRES_CLUSTER);
const SECRETS = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });

export interface ReconcilerOptions {
  readonly client: KubeClient;
  readonly cache: ObjectCache;
  readonly events: EventRecorder;
  readonly surroundings: Omit<Surroundings, 'spareMembers'>;
  readonly onAction: (key: string, action: Action, said: string) => void;
  readonly signal: AbortSignal;
}

/** Makes clusters what their resources say, one step a time. */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #secrets: ClusterSecretsKeeper;
  readonly #declared: DeclaredKeeper;
  readonly #patience = new Patience();

  constructor(options: ReconcilerOptions) {
    const { client, signal } = options;
    this.#options = options;
    this.#declared = new DeclaredKeeper(client);
    this.#secrets = new ClusterSecretsKeeper(client, (object) =>
      client.apply(resourceTypeOf(object), object.metadata.namespace, object, { fieldManager: FIELD_MANAGER, signal }),
    );
  }

  /** One look and one step; gives after how long to look again, null when there is nothing more to look at. */
  async reconcile(key: string): Promise<number | null> {
    const objects = this.#options.cache.objectsOf(key);
    const resource = objects.find(({ kind }) => kind === POSTGRES_CLUSTER.kind);
    if (resource === undefined) {
      this.#secrets.forget(key);
      this.#declared.forget(key);
      this.#patience.forget(key);
      return null;
    }
    let cluster: PostgresCluster;
    try {
      cluster = parsePostgresCluster(resource);
    } catch (error) {
      if (!(error instanceof MatriarchError)) throw error;
      return this.#refuse(resource, error.message);
    }
    if (resource.metadata.deletionTimestamp !== undefined) return this.#takeAway(key, resource, cluster, objects);
    if (await this.#keepFinalizer(resource, cluster)) return SOON_MS;
    return this.#advance(key, resource, cluster, objects);
  }

  async #advance(key: string, resource: KubeObject, cluster: PostgresCluster, objects: readonly KubeObject[]): Promise<number> {
    const { signal, surroundings, events } = this.#options;
    const { spec, name } = cluster;
    const members = memberNames(cluster, objects);
    const records = clusterRecords(name, objects);
    let kept: KeptSecrets;
    try {
      kept = await this.#secrets.keep(cluster, members, signal);
    } catch (error) {
      const { message } = error as Error;
      events.tell(resource, { type: 'Warning', reason: 'Failed', message });
      await this.#tellStatus(resource, failedStatus(message, cluster.generation, statusOf(resource), new Date().toISOString()));
      throw error;
    }
    const tls = kept.identity;
    const agents = new AgentCalls(tls, objects);
    const observed: Observed = { objects, ...(await agents.look(signal)), ...records };
    if (members.some((member) => !(member in observed.views))) this.#secrets.doubt(key);
    const planned = plan(cluster, { ...surroundings, spareMembers: Math.max(spec.instances, members.length) }, observed);
    const rotation = planned.actions.length > 0 ? null : await this.#secrets.rotate(cluster, members, observed.views, signal);
    const waits = [planned.waitingFor, rotation].filter((what) => what !== null);
    const next = { ...planned, waitingFor: waits.length === 0 ? null : waits.join('; ') };
    let failure: Error | undefined;
    try {
      for (const action of next.actions) await this.#perform(key, resource, cluster, agents, action);
      const primary = Object.entries(observed.views).find(([, { state }]) => state === 'primary')?.[0];
      // While the lead changes hands, writes would wait.
      if (primary !== undefined && next.actions.length === 0)
        for (const message of await this.#declared.keep(cluster, primary, objects, tls, signal))
          events.tell(resource, { type: 'Normal', reason: 'Declared', message });
    } catch (error) {
      failure = error as Error;
      events.tell(resource, { type: 'Warning', reason: 'Failed', message: (error as Error).message });
    }
    const refused = [...next.refused, ...refusalOf(failure)];
    for (const { field, message } of refused)
      events.tell(resource, { type: 'Warning', reason: 'Refused', message: `${field}: ${message}` });
    const told = { ...next, refused, ...(failure === undefined ? {} : { failed: failure.message }) };
    await this.#tellStatus(resource, clusterStatus(cluster, observed, told, statusOf(resource), new Date().toISOString()));
    if (failure !== undefined) throw failure;
    return this.#patience.msUntilNext(key, next.actions[0]?.because ?? next.waitingFor);
  }

  async #perform(key: string, resource: KubeObject, cluster: PostgresCluster, agents: AgentCalls, action: Action): Promise<void> {
    const { client, cache, events, signal, onAction } = this.#options;
    const objects = cache.objectsOf(key);
    const world = { client, cluster, agents, objects, signal, onWritten: (object: KubeObject) => cache.put(object) };
    const said = await performAction(world, action);
    onAction(key, action, said);
    const reason = `${action.kind[0]?.toUpperCase()}${action.kind.slice(1)}`;
    // Of its own objects people hear when they ask.
    if (action.kind !== 'apply' && action.kind !== 'nudge')
      events.tell(resource, { type: 'Normal', reason, message: `${said}: ${action.because}` });
  }

  async #takeAway(
    key: string,
    resource: KubeObject,
    cluster: PostgresCluster,
    objects: readonly KubeObject[],
  ): Promise<number | null> {
    const { signal } = this.#options;
    const finalizers = finalizersOf(resource);
    if (!finalizers.includes(FINALIZER)) return null;
    const { actions, waitingFor } = deletionPlan(cluster, { objects });
    // No agent is asked for anything any more.
    const agents = new AgentCalls({ ca: '', certificate: '', key: '' }, []);
    for (const action of actions) await this.#perform(key, resource, cluster, agents, action);
    if (actions.length > 0 || waitingFor !== null) return SOON_MS;
    // Those of roles that are not declared any more, too.
    if (cluster.spec.deletionPolicy === 'delete')
      await this.#options.client.deleteAll(SECRETS, cluster.namespace, `${LABEL.cluster}=${cluster.name}`, { signal });
    await this.#setFinalizers(
      resource,
      finalizers.filter((one) => one !== FINALIZER),
      signal,
    );
    return null;
  }

  /** True: it was changed, and the resource is looked at anew. */
  async #keepFinalizer(resource: KubeObject, { spec }: PostgresCluster): Promise<boolean> {
    const finalizers = finalizersOf(resource);
    const isWanted = spec.deletionPolicy === 'delete';
    if (finalizers.includes(FINALIZER) === isWanted) return false;
    const next = isWanted ? [...finalizers, FINALIZER] : finalizers.filter((one) => one !== FINALIZER);
    await this.#setFinalizers(resource, next, this.#options.signal);
    return true;
  }

  async #setFinalizers({ metadata }: KubeObject, finalizers: readonly string[], signal: AbortSignal): Promise<void> {
    const { client, cache } = this.#options;
    const { name, namespace, resourceVersion } = metadata;
    const patch = { metadata: { resourceVersion, finalizers } };
    cache.put(await client.patch(RESOURCES, namespace, name, 'merge', patch, { signal }));
  }

  /** What is there runs on. */
  async #refuse(resource: KubeObject, message: string): Promise<null> {
    this.#options.events.tell(resource, { type: 'Warning', reason: 'Invalid', message });
    const generation = Number(resource.metadata.generation ?? 0);
    await this.#tellStatus(resource, invalidStatus(message, generation, statusOf(resource), new Date().toISOString()));
    return null;
  }

  async #tellStatus(resource: KubeObject, status: PostgresClusterStatus): Promise<void> {
    const before = (resource.status ?? {}) as Readonly<Record<string, unknown>>;
    const gone = Object.keys(before).filter((field) => !(field in status));
    const { apiVersion, kind } = resource;
    const [live, wanted] = [before, status].map((one) => ({
      apiVersion,
      kind,
      metadata: { name: resource.metadata.name },
      status: one,
    }));
    if (gone.length === 0 && wanted !== undefined && !needsApply(live, wanted)) return;
    const { client, cache, signal } = this.#options;
    const { name, namespace } = resource.metadata;
    const patch = { status: { ...Object.fromEntries(gone.map((field) => [field, null])), ...status } };
    cache.put(await client.patch(RESOURCES, namespace, name, 'merge', patch, { subresource: 'status', signal }));
  }
}

/** What the API server refuses in the objects of a cluster comes from its resource. */
function refusalOf(failure: unknown): readonly Refusal[] {
  if (!(failure instanceof KubeFailure) || failure.code !== 'kubernetes.refused') return [];
  return [{ field: 'spec', message: failure.message }];
}

function statusOf({ status }: KubeObject): Partial<PostgresClusterStatus> {
  return (status ?? {}) as Partial<PostgresClusterStatus>;
}

function finalizersOf({ metadata: { finalizers } }: KubeObject): readonly string[] {
  return Array.isArray(finalizers) ? finalizers : [];
}

/** Those that are wanted, and those that still are there. */
function memberNames({ name, spec }: PostgresCluster, objects: readonly KubeObject[]): readonly string[] {
  const names = objectNames(name);
  const set = objects.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name === names.statefulSet);
  const { replicas } = (set?.spec ?? {}) as { replicas?: unknown };
  const count = Math.max(spec.instances, typeof replicas === 'number' ? replicas : 0);
  return Array.from({ length: count }, (_, ordinal) => names.member(ordinal));
}
