import type { Action } from './action.ts';
import { isWell, type MemberFacts, ordinalOf } from './member-facts.ts';
import type { Observed } from './observed.ts';

export interface ScaleStep {
  readonly replicas: number;
  readonly actions: readonly Action[];
  readonly waitingFor: string | null;
}

/**
 * Up at once: a member more harms nobody. Down one by one, and who leads hands over to one that stays first, since Kubernetes always
 * takes the last pod away.
 */
export function scaleStep(
  cluster: string,
  wanted: number,
  present: number | undefined,
  members: readonly MemberFacts[],
  { known, leader }: Pick<Observed, 'known' | 'leader'>,
  paused: boolean,
): ScaleStep {
  const none = { actions: [], waitingFor: null };
  // While the StatefulSet is made anew its pods are there, and none of them may go for that.
  const replicas = Math.max(wanted, ...members.map(({ ordinal }) => ordinal + 1));
  if (present === undefined) return { ...none, replicas };
  if (wanted >= present) return { ...none, replicas: wanted, actions: forgetGone(cluster, wanted, members, known) };
  if (paused) return { ...none, replicas: present, waitingFor: `paused: ${present - wanted} members are to leave` };
  const leaving = members.find(({ ordinal }) => ordinal === present - 1);
  const staying = members.filter(({ ordinal }) => ordinal < wanted);
  const broken = members.filter((member) => member !== leaving && !isWell(member));
  if (broken.length > 0 || staying.length < wanted)
    return {
      ...none,
      replicas: present,
      waitingFor: `${broken.map(({ name }) => name).join(', ') || 'pods'} before a member leaves`,
    };
  const leads = members.find(({ name }) => name === leader?.member);
  if (leads !== undefined && leads.ordinal >= wanted) {
    const [to] = [...staying].sort((one, other) => (one.view?.lagBytes ?? Infinity) - (other.view?.lagBytes ?? Infinity));
    const because = `${leads.name} leads and is to leave`;
    return {
      replicas: present,
      actions: to === undefined ? [] : [{ kind: 'switchover', from: leads.name, to: to.name, because }],
      waitingFor: because,
    };
  }
  return { replicas: present - 1, actions: [], waitingFor: `${present - wanted} members to leave` };
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
