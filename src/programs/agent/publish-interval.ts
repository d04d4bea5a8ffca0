import type { MemberConfig } from '#domain/config/member-config.ts';

/**
 * How often a member at rest writes its record again. Nothing is decided by a record that has expired: people read them, and agents
 * look there for each other's addresses. So it is as seldom as it may be where every write is one for a whole Kubernetes: three
 * members make a write every 60 s.
 */
export function publishEveryMs(store: MemberConfig['store']['kind']): number {
  return store === 'kubernetes' ? 180_000 : 10_000;
}
