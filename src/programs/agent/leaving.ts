import { setTimeout as sleep } from 'node:timers/promises';
import { whyNotForgettable } from '#core/ha/forgettable.ts';
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
  const why = whyNotForgettable(state(), name);
  if (why !== null) fail(why.code, why.text);
  const heardAt = state().peers[name]?.heardAt;
  if (heardAt !== undefined) await sleep(state().config.timings.suspectAfterMs, undefined, { signal });
  if (state().peers[name]?.heardAt !== heardAt)
    fail('request.refused', `${name} is heard: run \`matriarch stop\` on its machine first`);
  await store.put(`${KEYS.left}${name}`, { at: state().wall });
  await store.delete(`${KEYS.members}${name}`);
}

/**
 * A member that runs has not left, at its start and whenever somebody says so later: he could not see it. Else it would be gone again,
 * long after, the moment its record expires. Until the store answers.
 */
export function stayMember(store: Store, name: MemberName, signal: AbortSignal): void {
  const own = `${KEYS.left}${name}`;
  store.watch(
    own,
    ({ key, current }) => {
      if (key === own && current !== undefined) void unforget(store, own, signal);
    },
    signal,
  );
}

async function unforget(store: Store, key: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await store.delete(key, { signal });
      return;
    } catch {
      await sleep(RETRY_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
