import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { Condition, PostgresClusterStatus } from '#domain/config/postgres-cluster-status.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import type { Plan } from './action.ts';
import { find, isWell, type MemberFacts, memberFacts } from './member-facts.ts';
import type { Observed } from './observed.ts';
import { podTrouble } from './pod-trouble.ts';

type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/**
 * The status of a cluster. `before` is what stands there; a condition keeps its `lastTransitionTime` while its `status` stays, so that at
 * rest nothing differs and nothing is written. `now`: ISO time.
 */
export function clusterStatus(
  cluster: PostgresCluster,
  observed: Observed,
  plan: Plan,
  before: Partial<PostgresClusterStatus>,
  now: string,
): PostgresClusterStatus {
  const members = memberFacts(cluster.name, observed);
  const well = members.filter(isWell);
  const how = howTheyAre(members, observed);
  const { leader } = observed;
  const verdicts = {
    Ready: readiness(members, how),
    Progressing: progress(cluster, plan),
    Degraded: degradation(cluster, well.length, how),
    Accepted: acceptance(plan),
  };
  return {
    observedGeneration: cluster.generation,
    conditions: withTimes(verdicts, cluster.generation, before.conditions ?? [], now),
    ...(leader === null ? {} : { primary: leader.member, epoch: leader.epoch, timeline: leader.timeline }),
    instances: members.length,
    readyInstances: well.length,
    ready: `${well.length}/${cluster.spec.instances}`,
    selector: `${LABEL.cluster}=${cluster.name},${LABEL.component}=postgresql`,
    members: members.map(({ name, view }) => ({
      name,
      role: view?.role ?? 'none',
      state: view?.state ?? 'unreachable',
      // To the next 16 MiB: a status that followed every byte would be written for ever.
      ...(view?.lagBytes === null || view === undefined ? {} : { lagBytes: Math.floor(view.lagBytes / 2 ** 24) * 2 ** 24 }),
    })),
  };
}

/** Of a resource that cannot be read as one: only that is said, and what is there runs on. */
export function invalidStatus(message: string, generation: number, before: Partial<PostgresClusterStatus>, now: string) {
  return oneVerdict({ Accepted: { status: 'False', reason: 'Invalid', message } }, generation, before, now);
}

/** When nothing could be looked at. */
export function failedStatus(message: string, generation: number, before: Partial<PostgresClusterStatus>, now: string) {
  return oneVerdict({ Progressing: { status: 'True', reason: 'Failed', message } }, generation, before, now);
}

/** The rest stays as it was said. */
function oneVerdict(
  verdicts: Partial<Readonly<Record<Condition['type'], Verdict>>>,
  generation: number,
  before: Partial<PostgresClusterStatus>,
  now: string,
): PostgresClusterStatus {
  const kept = (before.conditions ?? []).filter(({ type }) => !(type in verdicts));
  return {
    instances: 0,
    readyInstances: 0,
    ...before,
    observedGeneration: generation,
    conditions: [...kept, ...withTimes(verdicts, generation, before.conditions ?? [], now)],
  };
}

function withTimes(
  verdicts: Partial<Readonly<Record<Condition['type'], Verdict>>>,
  observedGeneration: number,
  before: readonly Condition[],
  now: string,
): Condition[] {
  return Object.entries(verdicts).map(([type, verdict]) => {
    const old = before.find((one) => one.type === type);
    const lastTransitionTime = old?.status === verdict.status ? old.lastTransitionTime : now;
    return { type: type as Condition['type'], ...verdict, observedGeneration, lastTransitionTime };
  });
}

function readiness(members: readonly MemberFacts[], how: string): Verdict {
  const primary = members.find((member) => member.view?.state === 'primary');
  if (primary !== undefined) return { status: 'True', reason: 'Serving', message: `${primary.name} leads` };
  if (members.some(({ view }) => view?.state === 'bootstrapping') || members.length === 0)
    return { status: 'False', reason: 'Creating', message: 'the first member is being made' };
  return { status: 'False', reason: 'NoPrimary', message: `nobody leads: ${how}` };
}

function progress({ spec }: PostgresCluster, { actions, waitingFor, failed }: Plan): Verdict {
  const [first] = actions;
  if (failed !== undefined) return { status: 'True', reason: 'Failed', message: failed };
  if (first === undefined && waitingFor === null)
    return { status: 'False', reason: 'Stable', message: 'everything is as declared' };
  if (spec.paused) return { status: 'False', reason: 'Paused', message: waitingFor ?? 'paused' };
  const reason = first === undefined ? 'Waiting' : REASONS[first.kind];
  return { status: 'True', reason, message: first?.because ?? `waiting for ${waitingFor}` };
}

const REASONS = {
  apply: 'Configuring',
  delete: 'Configuring',
  growClaim: 'Growing',
  switchover: 'Restarting',
  restartServer: 'Restarting',
  replacePod: 'Restarting',
  forget: 'Scaling',
  nudge: 'Configuring',
} as const;

function degradation({ spec }: PostgresCluster, well: number, how: string): Verdict {
  if (well >= spec.instances) return { status: 'False', reason: 'AllMembersFollow', message: `${well} members` };
  return {
    status: 'True',
    reason: 'MembersMissing',
    message: `${well} of ${spec.instances} members lead or follow: ${how}`,
  };
}

function acceptance({ refused }: Plan): Verdict {
  if (refused.length === 0) return { status: 'True', reason: 'Valid', message: 'the resource is valid' };
  return { status: 'False', reason: 'Refused', message: refused.map(({ field, message }) => `${field}: ${message}`).join('\n') };
}

function howTheyAre(members: readonly MemberFacts[], { objects, waiting }: Observed): string {
  const one = ({ name, view, ending }: MemberFacts) => {
    if (ending) return `${name} ends`;
    if (view !== undefined) return `${name} ${view.state}`;
    const why = waiting?.[name];
    if (why !== undefined) return `${name} waits: ${why}`;
    const pod = find(objects, 'Pod', name);
    return `${name} ${(pod === undefined ? undefined : podTrouble(pod, objects)) ?? 'does not answer'}`;
  };
  return members.map(one).join(', ') || 'no pods';
}
