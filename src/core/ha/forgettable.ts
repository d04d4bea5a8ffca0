import type { MemberName } from '#domain/member.ts';
import type { HaState } from './state.ts';

export interface NotForgettable {
  readonly code: 'member.unknown' | 'request.refused';
  readonly text: string;
}

/** Why a person's word that a member is gone for good is not taken; null when it may be, if the member stays silent. */
export function whyNotForgettable(state: HaState, name: MemberName): NotForgettable | null {
  const record = state.record?.value;
  if (name === state.self.name) return { code: 'request.refused', text: `${name} is the member that was asked` };
  if (record?.member === name)
    return { code: 'request.refused', text: `the record names ${name} as the leader: switch or fail over first` };
  const counted = record?.sync.some((incarnation) => incarnation.startsWith(`${name}_`)) ?? false;
  const known = name in state.members || name in state.peers || (record?.eligible.includes(name) ?? false) || counted;
  return known ? null : { code: 'member.unknown', text: `the cluster has no member ${name}` };
}
