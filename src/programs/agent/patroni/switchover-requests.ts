import type { HaState } from '#core/ha/state.ts';
import type { MemberName } from '#domain/member.ts';
import { leaderHeardAt } from './patroni-view.ts';

export type Action = 'switchover' | 'failover';

/** What is to be done, by whom; or the answer, when it is to be refused. */
export type Plan =
  | { readonly kind: 'refuse'; readonly status: number; readonly text: string }
  | {
      readonly kind: 'ask';
      /** Who carries it out: the leader hands over, a candidate without a leader stands. */
      readonly member: MemberName;
      readonly how: 'handOver' | 'stand';
      readonly action: Action;
      readonly candidate?: MemberName;
    };

/** The body of `POST /switchover` and `POST /failover`, judged by what this member knows of the cluster. */
export function planSwitchover(action: Action, body: unknown, state: HaState, leads: boolean, now: number): Plan {
  const fields =
    typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Readonly<Record<string, unknown>>) : {};
  const [leader, candidate, other] = [text(fields.leader), text(fields.candidate), text(fields.member)];
  if (leader === null || candidate === null || other === null)
    return refuse(400, 'leader and candidate must be the names of members');
  return judge({ action, leader, candidate: candidate ?? other, scheduledAt: fields.scheduled_at }, state, leads, now);
}

interface Asked {
  readonly action: Action;
  readonly leader: MemberName | undefined;
  readonly candidate: MemberName | undefined;
  readonly scheduledAt: unknown;
}

function judge({ action, leader, candidate, scheduledAt }: Asked, state: HaState, leads: boolean, now: number): Plan {
  if (action === 'failover' && candidate === undefined)
    return refuse(400, 'Failover could be performed only to a specific candidate');
  if (action === 'switchover' && leader === undefined)
    return refuse(400, 'Switchover could be performed only from a specific leader');
  if (scheduledAt !== undefined && scheduledAt !== null && scheduledAt !== '')
    return refuse(501, 'Nothing can be scheduled here: leave scheduled_at out, and call when it is to happen');
  if (state.config.paused && candidate === undefined)
    return refuse(400, 'Switchover is possible only to a specific candidate in a paused state');
  if (leader !== undefined && leader === candidate) return refuse(400, 'Switchover target and source are the same');
  const recorded = state.record?.value?.member;
  if (leader !== undefined && leader !== recorded) return refuse(412, 'leader name does not match');
  const barrier = whyNotCandidate(candidate, recorded, state);
  if (barrier !== null) return refuse(412, `${action} is not possible: ${barrier}`);
  const to = candidate === undefined ? {} : { candidate };
  const led = leads || now - leaderHeardAt(state) < state.config.timings.suspectAfterMs;
  if (recorded !== undefined && (led || action === 'switchover' || leader !== undefined))
    return { kind: 'ask', member: recorded, how: 'handOver', action, ...to };
  return { kind: 'ask', member: candidate ?? state.self.name, how: 'stand', action, ...to };
}

function whyNotCandidate(
  candidate: MemberName | undefined,
  recorded: MemberName | undefined,
  { members }: HaState,
): string | null {
  if (candidate === undefined) return null;
  if (candidate === recorded) return `${candidate} is the leader`;
  const member = members[candidate];
  if (member === undefined) return 'candidate does not exist';
  return member.tags.nofailover ? `${candidate} has the tag nofailover` : null;
}

/** undefined: not given. null: not the name of anybody. */
function text(value: unknown): string | null | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  return typeof value === 'string' ? value : null;
}

function refuse(status: number, message: string): Plan {
  return { kind: 'refuse', status, text: message };
}

/** As Patroni says it. */
export function successText(action: Action, leader: MemberName, candidate: MemberName | undefined): string {
  const verb = action === 'switchover' ? 'switched' : 'failed';
  if (candidate === undefined || candidate === leader) return `Successfully ${verb} over to "${leader}"`;
  return `${verb[0]?.toUpperCase()}${verb.slice(1)} over to "${leader}" instead of "${candidate}"`;
}

export function failureText(action: Action, why: string): string {
  return `${action === 'switchover' ? 'Switchover' : 'Failover'} ${why}`;
}
