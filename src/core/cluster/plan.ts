import { clusterConfigOf, type PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { Action, Plan, Refusal } from './action.ts';
import { desired } from './desired.ts';
import { nextDisruption } from './disruption.ts';
import { initdbStep } from './initdb-step.ts';
import { find, isWell, type MemberFacts, memberFacts, setFacts } from './member-facts.ts';
import { needsApply } from './needs-apply.ts';
import { nudges } from './nudge.ts';
import type { Observed } from './observed.ts';
import { parameterStep } from './ordered-parameters.ts';
import { scaleStep } from './scale-step.ts';
import { storageStep } from './storage-step.ts';
import type { Surroundings } from './surroundings.ts';

/**
 * What to do next so that the cluster becomes what its resource says. Done step by step: after the actions, look again and plan again. No
 * actions and nothing to wait for: it is there.
 */
export function plan(cluster: PostgresCluster, surroundings: Surroundings, observed: Observed): Plan {
  const { spec, name } = cluster;
  const { objects } = observed;
  const set = setFacts(name, objects);
  const members = memberFacts(name, observed);
  const storage = storageStep(cluster, objects);
  const making = initdbStep(cluster, observed);
  const there = set?.replicas === spec.instances && members.length === spec.instances;
  const parameters = parameterStep(clusterConfigOf(spec), members, there && members.every(isWell));
  const scale = scaleStep({ cluster, present: set?.replicas, members, observed, held: parameters.midway });
  const wanted = desired(cluster, surroundings, {
    config: parameters.config,
    set: { replicas: scale.replicas, volumes: storage.volumes, initdb: making.initdb },
  });
  const statefulSet = objectNames(name).statefulSet;
  const applied = applications(wanted, objects, set === undefined || storage.recreate || set.ending ? statefulSet : undefined);
  const grown = storage.grow.map((grow): Action => ({ kind: 'growClaim', ...grow }));
  const quiet = applied.length === 0 && grown.length === 0 && !storage.recreate && set !== undefined && !set.ending;
  // A change of parameters that is halfway comes to its end before anybody leaves.
  const refused = refusedParameters(members);
  const settled = quiet && scale.actions.length === 0 && (parameters.midway || scale.waitingFor === null);
  const disruption = settled
    ? nextDisruption({
        members,
        wanted: scale.replicas,
        settled: set.settled,
        paused: spec.paused,
        lowering: parameters.lowering,
        unstartable: refused.map(({ field }) => field),
      })
    : { action: null, waitingFor: scale.waitingFor ?? 'what was changed' };
  const actions = [
    ...applied,
    ...grown,
    ...setAnew(set, storage.recreate, statefulSet, wanted),
    ...(quiet ? scale.actions : []),
    ...(disruption.action === null ? [] : [disruption.action]),
  ];
  const superfluous = leftovers(cluster, wanted, objects);
  return {
    actions: [...actions, ...superfluous, ...nudges(name, objects)],
    waitingFor: disruption.waitingFor ?? scale.waitingFor,
    refused: [...storage.refused, ...making.refused, ...refused],
  };
}

/** What only PostgreSQL itself knows to be wrong. */
function refusedParameters(members: readonly MemberFacts[]): readonly Refusal[] {
  const reasons = new Map(members.flatMap(({ view }) => Object.entries(view?.refusedParameters ?? {})));
  return [...reasons].sort().map(([name, reason]) => ({ field: `spec.postgresql.parameters.${name}`, message: reason }));
}

function applications(wanted: readonly KubeObject[], live: readonly KubeObject[], but: string | undefined): readonly Action[] {
  return wanted
    .filter((object) => object.kind !== 'StatefulSet' || object.metadata.name !== but)
    .filter((object) => needsApply(find(live, object.kind, object.metadata.name), object))
    .map((object) => ({ kind: 'apply', object, because: `${object.kind} ${object.metadata.name} differs from what is wanted` }));
}

/** Kubernetes changes no template of claims. Its pods stay and are adopted by the new one. */
function setAnew(
  set: ReturnType<typeof setFacts>,
  recreate: boolean,
  name: string,
  wanted: readonly KubeObject[],
): readonly Action[] {
  if (set?.ending) return [];
  if (set === undefined)
    return wanted
      .filter(({ kind }) => kind === 'StatefulSet')
      .map((object) => ({ kind: 'apply', object, because: 'there is none yet' }));
  if (!recreate) return [];
  const object = { apiVersion: 'apps/v1', kind: 'StatefulSet', name };
  return [{ kind: 'delete', object, orphan: true, because: 'new members are to have volumes of the new size' }];
}

/** Objects that an earlier resource asked for. By their owner: `kubectl expose` copies the labels of a Deployment to a person's Service. */
function leftovers({ uid }: PostgresCluster, wanted: readonly KubeObject[], live: readonly KubeObject[]): readonly Action[] {
  const kinds = ['Service', 'Deployment', 'PodDisruptionBudget', 'PodMonitor'];
  return live
    .filter(({ kind, metadata }) => kinds.includes(kind) && metadata.deletionTimestamp === undefined)
    .filter(({ metadata: { ownerReferences } }) => ownerReferences?.some((owner) => owner.uid === uid))
    .filter(({ kind, metadata }) => find(wanted, kind, metadata.name) === undefined)
    .map(({ apiVersion, kind, metadata: { name } }) => ({
      kind: 'delete',
      object: { apiVersion, kind, name },
      orphan: false,
      because: 'the resource asks for it no more',
    }));
}
