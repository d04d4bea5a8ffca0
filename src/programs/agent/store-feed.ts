import { setTimeout as sleep } from 'node:timers/promises';
import type { HaEvent } from '#core/ha/events.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import { haSettings } from '#domain/config/ha-settings.ts';
import type { HistoryEntry } from '#domain/leader-record.ts';
import type { MemberName, MemberRecord } from '#domain/member.ts';
import type { Store, StoreChange, Versioned } from '#domain/ports/store.ts';
import { refusalOf } from '#domain/record-format.ts';
import type { ConfigChecker } from '#programs/config-check/config-checker.ts';
import { readHistoryEntry, readIdentity, readLeaderRecord, readMemberRecord } from './shapes.ts';

export const KEYS = {
  leader: 'leader',
  identity: 'identity',
  config: 'config',
  members: 'members/',
  /** Members that left for good: an object a name, until the member is back. */
  left: 'left/',
  history: 'history/',
} as const;

const RETRY_MS = 500;

export interface StoreFeedOptions {
  readonly store: Store;
  readonly checker: ConfigChecker;
  readonly feed: (event: HaEvent) => void;
  readonly onConfig: (config: ClusterConfig) => void;
  readonly onMembers: (members: readonly MemberRecord[], left: readonly MemberName[]) => void;
  /** A record that is not of its shape: passed over, for the log. */
  readonly onRubbish: (key: string, why: string) => void;
  /** A key that can be read, again or for the first time. */
  readonly onRead: (key: string) => void;
  readonly signal: AbortSignal;
}

/** Turns the store's changes into events. What cannot be read is passed over: a damaged record is never taken for a missing one. */
export function watchStore(options: StoreFeedOptions): void {
  const members = new Map<string, MemberRecord>();
  const left = new Set<MemberName>();
  const { store, signal } = options;
  // Whoever has a record is there, whatever was once said of it.
  const tellMembers = () => {
    const all = [...members.values()];
    const gone = [...left].filter((name) => !all.some((member) => member.name === name));
    options.onMembers(all, gone);
    options.feed({ kind: 'members', members: all });
    options.feed({ kind: 'left', names: gone });
  };
  store.watch(KEYS.leader, (change) => onLeader(options, change), signal);
  let identified = false;
  store.watch(
    KEYS.identity,
    (change) => {
      identified = true;
      onIdentity(options, change);
    },
    signal,
  );
  // A watch tells of keys that are there; that this one is not yet has to be asked.
  void ask(store, KEYS.identity, signal).then((found) => {
    if (found === undefined && !identified) options.feed({ kind: 'identity', identity: null });
  });
  store.watch(KEYS.config, (change) => onConfig(options, change), signal);
  const history = new Map<string, HistoryEntry>();
  store.watch(
    KEYS.history,
    ({ key, current }) => {
      const entry = current === undefined ? undefined : readHistoryEntry(current.value);
      if (entry === undefined) return options.onRubbish(key, whyNot(current?.value));
      history.set(key, entry);
      options.feed({ kind: 'history', entries: [...history.values()] });
    },
    signal,
  );
  store.watch(
    KEYS.members,
    (change) => {
      const record = change.current === undefined ? undefined : readMemberRecord(change.current.value);
      if (change.current !== undefined && record === undefined)
        return options.onRubbish(change.key, whyNot(change.current?.value));
      options.onRead(change.key);
      if (record === undefined) members.delete(change.key);
      else members.set(change.key, record);
      tellMembers();
    },
    signal,
  );
  store.watch(
    KEYS.left,
    ({ key, current }) => {
      const name = key.slice(KEYS.left.length);
      if (current === undefined) left.delete(name);
      else left.add(name);
      tellMembers();
    },
    signal,
  );
}

function whyNot(json: unknown): string {
  return refusalOf(json) ?? 'it is no record of Matriarch';
}

/** Until the store answers. Never resolves when `signal` aborts first. */
async function ask(store: Store, key: string, signal: AbortSignal): Promise<Versioned | undefined> {
  for (;;) {
    try {
      return await store.get(key, { signal });
    } catch {
      if (signal.aborted) return new Promise(() => {});
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function onLeader(options: StoreFeedOptions, { key, current }: StoreChange): void {
  if (key !== KEYS.leader || current === undefined) return;
  const record = readLeaderRecord(current.value);
  if (record === undefined) return options.onRubbish(key, whyNot(current.value));
  options.onRead(key);
  options.feed({ kind: 'record', record, version: current.version });
}

function onIdentity(options: StoreFeedOptions, { key, current }: StoreChange): void {
  if (key !== KEYS.identity) return;
  const identity = current === undefined ? null : readIdentity(current.value);
  if (identity === undefined) return options.onRubbish(key, whyNot(current?.value));
  options.onRead(key);
  options.feed({ kind: 'identity', identity });
}

/** The checker answers in the order it was asked, so the last change is the last to be heard of. */
function onConfig(options: StoreFeedOptions, { key, current }: StoreChange): void {
  if (key !== KEYS.config || current === undefined) return;
  options.checker.cluster(current.value, 'config in the store').then(
    (config) => {
      if (options.signal.aborted) return;
      options.onRead(key);
      options.onConfig(config);
      options.feed({ kind: 'configured', config: haSettings(config) });
    },
    (error: Error) => options.onRubbish(key, error.message),
  );
}
