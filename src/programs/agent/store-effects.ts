import type { Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import type { Store, Versioned } from '#domain/ports/store.ts';
import { toJson } from './record-json.ts';
import { readIdentity, readLeaderRecord } from './shapes.ts';
import { KEYS } from './store-feed.ts';

type Swap = Extract<Effect, { kind: 'swap' }>;
type Identify = Extract<Effect, { kind: 'identify' }>;

/** Reads the leader record; rubbish or no answer is a failed read, never "no leader". */
export async function readLeader(store: Store, clock: () => number): Promise<HaEvent> {
  const askedAt = clock();
  try {
    const found = await store.get(KEYS.leader);
    if (found === undefined) return { kind: 'record', record: null, version: 0, askedAt };
    const record = readLeaderRecord(found.value);
    return record === undefined ? { kind: 'readFailed' } : { kind: 'record', record, version: found.version, askedAt };
  } catch {
    return { kind: 'readFailed' };
  }
}

export async function swapLeader(store: Store, { id, expected, record, durable }: Swap, format: number): Promise<HaEvent> {
  try {
    const outcome = await store.compareAndSet(KEYS.leader, expected, { ...(toJson(record) as object), format }, { durable });
    if (outcome.ok) return { kind: 'swapped', id, outcome: 'done', version: outcome.version };
    return conflict(id, outcome.current);
  } catch {
    return { kind: 'swapped', id, outcome: 'unknown' };
  }
}

function conflict(id: number, current: Versioned | undefined): HaEvent {
  if (current === undefined) return { kind: 'swapped', id, outcome: 'conflict', record: null, version: 0 };
  const record = readLeaderRecord(current.value);
  if (record === undefined) return { kind: 'swapped', id, outcome: 'unknown' };
  return { kind: 'swapped', id, outcome: 'conflict', record, version: current.version };
}

/** Compare-and-set of `identity`; undefined when the store did not answer, and the watch tells later. */
export async function writeIdentity(
  store: Store,
  { expected, identity }: Identify,
  format: number,
): Promise<HaEvent | undefined> {
  try {
    const found = await store.get(KEYS.identity);
    const current = found === undefined ? null : readIdentity(found.value);
    if (current === undefined) return undefined;
    const same = current?.by === expected?.by && current?.systemIdentifier === expected?.systemIdentifier;
    if (!same) return { kind: 'identity', identity: current };
    const outcome = await store.compareAndSet(KEYS.identity, found?.version ?? null, { ...identity, format });
    if (outcome.ok) return { kind: 'identity', identity };
    const now = outcome.current === undefined ? null : readIdentity(outcome.current.value);
    return now === undefined ? undefined : { kind: 'identity', identity: now };
  } catch {
    return { kind: 'identity', identity: expected };
  }
}
