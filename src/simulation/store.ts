import type { Identity } from '#core/ha/events.ts';
import type { HistoryEntry, LeaderRecord } from '#domain/leader-record.ts';
import type { MemberName, MemberRecord } from '#domain/member.ts';
import type { Scheduler } from './scheduler.ts';

export interface Versioned<T> {
  readonly value: T | null;
  readonly version: number;
}

export type SwapAnswer =
  | { readonly outcome: 'done'; readonly version: number }
  | { readonly outcome: 'conflict'; readonly record: LeaderRecord | null; readonly version: number };

export type StoreKey = 'leader' | 'members' | 'history' | 'identity' | 'left';

/** The store itself, linearizable: every operation happens at one moment. Delays, losses and outages are on the way to it. */
export class VirtualStore {
  available = true;
  leader: Versioned<LeaderRecord> = { value: null, version: 0 };
  identity: Versioned<Identity> = { value: null, version: 0 };
  readonly history: HistoryEntry[] = [];
  /** Whom a person called gone for good. */
  readonly left = new Set<MemberName>();
  wasToldToForget = false;
  readonly #members = new Map<MemberName, { readonly record: MemberRecord; readonly expiresAt: number }>();
  readonly #watchers = new Set<(key: StoreKey) => void>();
  readonly #scheduler: Scheduler;
  #revision = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** An expected version of null: nothing may stand there. */
  swap(expected: number | null, record: LeaderRecord): SwapAnswer {
    const { value, version } = this.leader;
    if (expected === null ? value !== null : version !== expected) return { outcome: 'conflict', record: value, version };
    this.leader = { value: record, version: ++this.#revision };
    this.#changed('leader');
    return { outcome: 'done', version: this.leader.version };
  }

  identify(expected: Identity | null, identity: Identity): Identity | null {
    const { value } = this.identity;
    const same =
      value === null ? expected === null : expected?.by === value.by && expected.systemIdentifier === value.systemIdentifier;
    if (same) {
      this.identity = { value: identity, version: ++this.#revision };
      this.#changed('identity');
    }
    return this.identity.value;
  }

  append(entry: HistoryEntry): void {
    if (this.history.some((known) => known.epoch === entry.epoch)) return;
    this.history.push(entry);
    this.#changed('history');
  }

  publish(record: MemberRecord, ttlMs: number): void {
    const { now } = this.#scheduler;
    const known = this.#members.get(record.name);
    this.#members.set(record.name, { record, expiresAt: now + ttlMs });
    if (known === undefined || known.record !== record) this.#changed('members');
    this.#scheduler.after(ttlMs + 1, null, () => {
      const stands = this.#members.get(record.name);
      if (stands === undefined || stands.expiresAt > this.#scheduler.now) return;
      this.#members.delete(record.name);
      this.#changed('members');
    });
  }

  forget(name: MemberName): void {
    this.left.add(name);
    this.wasToldToForget = true;
    this.#changed('left');
  }

  unforget(name: MemberName): void {
    if (this.left.delete(name)) this.#changed('left');
  }

  unpublish(name: MemberName): void {
    if (this.#members.delete(name)) this.#changed('members');
  }

  members(): MemberRecord[] {
    return [...this.#members.values()].map(({ record }) => record).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  watch(onChange: (key: StoreKey) => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  #changed(key: StoreKey): void {
    for (const onChange of this.#watchers) onChange(key);
  }
}
