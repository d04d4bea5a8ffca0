import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { Action } from './action.ts';
import { isWell, type MemberFacts } from './member-facts.ts';
import type { Observed } from './observed.ts';
import { ordinalOf } from './ordinal-of.ts';

export interface ScaleStep {
  readonly replicas: number;
  readonly actions: readonly Action[];
  readonly waitingFor: string | null;
}

interface ScaleQuestion {
  readonly cluster: PostgresCluster;
  /** Of the StatefulSet; undefined while there is none. */
  readonly present: number | undefined;
  readonly members: readonly MemberFacts[];
  readonly observed: Pick<Observed, 'known' | 'leader'>;
  /** The lead must not change now. */
  readonly held: boolean;
}

/**
 * Up at once: a member more harms nobody. Down one by one, and who leads hands over to one that stays first, since Kubernetes always
 * takes the last pod away.
 */
export function scaleStep({ cluster, present, members, observed, held }: ScaleQuestion): ScaleStep {
  const { name, spec } = cluster;
  const wanted = spec.instances;
  const none = { actions: [], waitingFor: null };
  // While the StatefulSet is made anew its pods are there, and none of them may go for that.
  if (present === undefined) return { ...none, replicas: Math.max(wanted, ...members.map(({ ordinal }) => ordinal + 1)) };
  if (wanted >= present) return { ...none, replicas: wanted, actions: forgetGone(name, wanted, members, observed.known) };
  const waiting = (waitingFor: string): ScaleStep => ({ ...none, replicas: present, waitingFor });
  if (spec.paused) return waiting(`paused: ${present - wanted} members are to leave`);
  if (held) return waiting('parameters to be the same everywhere before a member leaves');
  const leaving = members.find(({ ordinal }) => ordinal === present - 1);
  const staying = members.filter(({ ordinal }) => ordinal < wanted);
  const broken = members.filter((member) => member !== leaving && !isWell(member)).map((member) => member.name);
  if (broken.length > 0 || staying.length < wanted) return waiting(`${broken.join(', ') || 'pods'} before a member leaves`);
  if (leaving?.name !== observed.leader?.member)
    return { ...none, replicas: present - 1, waitingFor: `${present - wanted} members to leave` };
  const [to] = [...staying].sort((one, other) => (one.view?.lagBytes ?? Infinity) - (other.view?.lagBytes ?? Infinity));
  if (leaving === undefined || to === undefined) return waiting('members');
  const because = `${leaving.name} leads and is to leave`;
  const actions: readonly Action[] = [{ kind: 'switchover', from: leaving.name, to: to.name, because }];
  return { replicas: present, actions, waitingFor: because };
}

/** Its pod is gone and comes back no more: nobody keeps WAL for it. */
function forgetGone(
  cluster: string,
  replicas: number,
  members: readonly MemberFacts[],
  known: readonly string[],
): readonly Action[] {
  return known
    .filter((name) => (ordinalOf(cluster, name) ?? -1) >= replicas && !members.some((member) => member.name === name))
    .map((member) => ({ kind: 'forget', member, because: 'it was taken away by a lower number of instances' }));
}
