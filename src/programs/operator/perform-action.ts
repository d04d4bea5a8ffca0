import { KubeFailure } from '#adapters/kubernetes/failures.ts';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { PODS, resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import type { Action } from '#core/cluster/action.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION } from '#domain/kubernetes/labels.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import type { AgentCalls } from './agent-calls.ts';

/** Of the fields that the operator sets. */
export const FIELD_MANAGER = OPERATOR.name;
const CLAIM = resourceTypeOf({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' });

export interface ActionWorld {
  readonly client: KubeClient;
  readonly cluster: PostgresCluster;
  readonly agents: AgentCalls;
  /** As the plan saw them. */
  readonly objects: readonly KubeObject[];
  /** What the server has made of a write, so that the next look is not at an older state. */
  readonly onWritten: (object: KubeObject) => void;
  readonly signal: AbortSignal;
}

/** Carries out one action of a plan; gives what was done, for people. Decides nothing. */
export async function performAction(world: ActionWorld, action: Action): Promise<string> {
  const { client, cluster, agents, signal } = world;
  switch (action.kind) {
    case 'apply': {
      const { object } = action;
      const applied = await client.apply(resourceTypeOf(object), cluster.namespace, object, {
        fieldManager: FIELD_MANAGER,
        signal,
      });
      world.onWritten(applied);
      return `applied ${object.kind} ${object.metadata.name}`;
    }
    case 'delete': {
      const { object, orphan } = action;
      const body = { propagationPolicy: orphan ? 'Orphan' : 'Background' };
      await client.delete(resourceTypeOf(object), cluster.namespace, object.name, { body, signal });
      return `deleted ${object.kind} ${object.name}`;
    }
    case 'growClaim': {
      const patch = { spec: { resources: { requests: { storage: action.size } } } };
      world.onWritten(await client.patch(CLAIM, cluster.namespace, action.claim, 'merge', patch, { signal }));
      return `asked for ${action.size} for ${action.claim}`;
    }
    case 'nudge': {
      const metadata = { annotations: { [ANNOTATION.configVersion]: action.version } };
      world.onWritten(await client.patch(PODS, cluster.namespace, action.pod, 'merge', { metadata }, { signal }));
      return `told ${action.pod}`;
    }
    case 'replacePod':
      return replacePod(world, action.member);
    case 'switchover':
      return agents.command(action.from, '/switchover', { to: action.to }, signal);
    case 'restartServer':
      return agents.command(action.member, '/restart', {}, signal);
    case 'forget': {
      const { first } = agents;
      if (first === undefined) throw new Error(`nobody is there who could forget ${action.member}`);
      return agents.command(first, '/forget', { member: action.member }, signal);
    }
  }
}

/** The very pod that the plan saw: what has been replaced already must not be deleted once more. */
async function replacePod({ client, cluster, objects, signal }: ActionWorld, member: string): Promise<string> {
  const uid = objects.find(({ kind, metadata }) => kind === 'Pod' && metadata.name === member)?.metadata.uid;
  try {
    await client.delete(PODS, cluster.namespace, member, { body: { preconditions: { uid } }, signal });
  } catch (error) {
    if (!(error instanceof KubeFailure) || error.code !== 'kubernetes.conflict') throw error;
  }
  return `replaced pod ${member}`;
}
