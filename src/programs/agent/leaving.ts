import { setTimeout as sleep } from 'node:timers/promises';
import type { HaState } from '#core/ha/state.ts';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import type { Store } from '#domain/ports/store.ts';
import { KEYS } from './store-feed.ts';

const RETRY_MS = 1000;

/**
 * A person says that a member is gone for good. Refused for one that leads, or speaks while it is listened for: it would be back in the
 * next moment. Errors: `member.unknown`, `request.refused`, `store.…`.
 */
export async function forgetMember(store: Store, state: () => HaState, name: MemberName, signal: AbortSignal): Promise<void> {
  checkForgettable(state(), name);
  const heardAt = state().peers[name]?.heardAt;
  if (heardAt !== undefined) await sleep(state().config.timings.suspectAfterMs, undefined, { signal });
  if (state().peers[name]?.heardAt !== heardAt)
    fail('request.refused', `${name} is heard: run \`matriarch stop\` on its machine first`);
  await store.put(`${KEYS.left}${name}`, { at: state().wall });
  await store.delete(`${KEYS.members}${name}`);
}

function checkForgettable(state: HaState, name: MemberName): void {
  const record = state.record?.value;
  if (name === state.self.name) fail('request.refused', `${name} is the member that was asked`);
  if (record?.member === name) fail('request.refused', `the record names ${name} as the leader: switch or fail over first`);
  const counted = record?.sync.some((incarnation) => incarnation.startsWith(`${name}_`)) ?? false;
  const known = name in state.members || name in state.peers || (record?.eligible.includes(name) ?? false) || counted;
  if (!known) fail('member.unknown', `the cluster has no member ${name}`);
}

/** A member that starts has not left. Until the store answers. */
export async function unforget(store: Store, name: MemberName, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      if ((await store.get(`${KEYS.left}${name}`, { signal })) !== undefined)
        await store.delete(`${KEYS.left}${name}`, { signal });
      return;
    } catch {
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
