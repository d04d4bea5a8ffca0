import type { MemberState } from '#domain/member.ts';
import type { Action } from './action.ts';
import { isWell, type MemberFacts } from './member-facts.ts';

export interface Disruption {
  readonly action: Action | null;
  readonly waitingFor: string | null;
}

export interface DisruptionQuestion {
  /** Those that stay. */
  readonly members: readonly MemberFacts[];
  readonly wanted: number;
  /** The StatefulSet's controller has seen the present template. */
  readonly settled: boolean;
  readonly paused: boolean;
  /** Parameters that the primary has to lower first. */
  readonly lowering: readonly string[];
  /** Parameters in the files with which no server would start. */
  readonly unstartable: readonly string[];
}

const NOTHING: Disruption = { action: null, waitingFor: null };
const waiting = (waitingFor: string): Disruption => ({ action: null, waitingFor });
const act = (action: Action): Disruption => ({ action, waitingFor: `${action.kind} is under way` });

/** The one member that is taken away next, if any: standbys first, the primary last and by a switchover. */
export function nextDisruption(question: DisruptionQuestion): Disruption {
  const { members, paused, settled, lowering, unstartable, wanted } = question;
  if (!settled) return waiting('the StatefulSet is being looked at by its controller');
  const outdated = members.filter((member) => whyOutdated(member) !== null);
  if (outdated.length === 0) return lacking(members, wanted);
  if (paused) return waiting(`paused: ${outdated.map(({ name }) => name).join(', ')} would have to be restarted`);
  // One that does not work loses nothing; a healthy one is never taken away beside it.
  if (!members.every(isWell)) return repair(members);
  if (unstartable.length > 0) return waiting(`values that PostgreSQL takes: ${unstartable.join(', ')}`);
  if (members.length < wanted) return lacking(members, wanted);
  const primary = members.find(({ view }) => view?.role === 'primary');
  if (primary === undefined) return waiting('nobody leads');
  if (lowering.length > 0) return lower(primary, lowering);
  const standby = outdated.find((member) => member !== primary);
  if (standby !== undefined) return renew(standby);
  return renewPrimary(primary, members);
}

function whyOutdated({ current, view }: MemberFacts): string | null {
  if (!current) return 'its pod differs from the present template';
  const pending = view?.pendingRestart ?? [];
  return pending.length > 0 ? `${pending.join(', ')} takes a restart` : null;
}

function lacking(members: readonly MemberFacts[], wanted: number): Disruption {
  const broken = members.filter((member) => !isWell(member)).map(({ name }) => name);
  if (broken.length > 0) return waiting(`${broken.join(', ')} to lead or to follow`);
  return members.length < wanted ? waiting(`${wanted - members.length} more pods`) : NOTHING;
}

/** What no new pod would make quicker, and what it would begin anew. */
const WORKING: readonly MemberState[] = [
  'bootstrapping',
  'cloning',
  'rewinding',
  'starting',
  'promoting',
  'primary',
  'streaming',
];

/** A pod of an old template that does not work may work by the new one. */
function repair(members: readonly MemberFacts[]): Disruption {
  const broken = members.filter((member) => !isWell(member));
  const hopeless = broken.find(({ current, view }) => !current && (view === undefined || !WORKING.includes(view.state)));
  if (hopeless === undefined || members.some(({ ending }) => ending))
    return waiting(`${broken.map(({ name }) => name).join(', ')} to lead or to follow`);
  const because = 'it does not work, and its pod differs from the present template';
  return act({ kind: 'replacePod', member: hopeless.name, because });
}

function lower(primary: MemberFacts, lowering: readonly string[]): Disruption {
  const names = lowering.join(', ');
  const comes = lowering.every((name) => primary.view?.pendingRestart.includes(name));
  if (!comes) return waiting(`${primary.name} to have the lower ${names}`);
  return act({
    kind: 'restartServer',
    member: primary.name,
    because: `${names} is lowered on the primary first: a standby with less than it would stop replaying`,
  });
}

function renew(member: MemberFacts): Disruption {
  const because = whyOutdated(member) ?? '';
  return act(
    member.current
      ? { kind: 'restartServer', member: member.name, because }
      : { kind: 'replacePod', member: member.name, because },
  );
}

function renewPrimary(primary: MemberFacts, members: readonly MemberFacts[]): Disruption {
  const [next] = members
    .filter((member) => member !== primary)
    .sort((one, other) => (one.view?.lagBytes ?? Infinity) - (other.view?.lagBytes ?? Infinity));
  if (next === undefined) return renew(primary);
  return act({
    kind: 'switchover',
    from: primary.name,
    to: next.name,
    because: `${whyOutdated(primary) ?? ''}: everybody else has been renewed, and the primary comes last`,
  });
}
