import type { SyncSetting } from '#domain/leader-record.ts';
import type { WalRecord } from '../wal.ts';
import type { ReplicationConnection } from './walsender.ts';

interface Waiter {
  readonly record: WalRecord;
  readonly done: (released: boolean) => void;
}

/**
 * PostgreSQL's SyncRep queue (src/backend/replication/syncrep.c, 15): a commit waits when the shared flag `sync_standbys_defined` is
 * set, which only the checkpointer changes, when it reloads; and every walsender lets go what its own reading of names and k covers.
 */
export class SyncRep {
  /** Set by the checkpointer alone. */
  defined: boolean;
  #released = 0;
  #waiters: Waiter[] = [];

  constructor(setting: SyncSetting) {
    this.defined = setting.k > 0;
  }

  isWaiting(record: WalRecord): boolean {
    return this.#waiters.some((waiter) => waiter.record === record);
  }

  wait(record: WalRecord, done: (released: boolean) => void): void {
    if (!this.defined || record.end <= this.#released) done(true);
    else this.#waiters.push({ record, done });
  }

  /** The checkpointer has reloaded. Without names nobody has to wait any more. */
  setDefined(defined: boolean): void {
    this.defined = defined;
    if (!defined) this.#release(Number.POSITIVE_INFINITY);
  }

  /** A walsender received a confirmation: SyncRepReleaseWaiters, by its own view. */
  confirmed(by: ReplicationConnection, all: ReadonlySet<ReplicationConnection>): void {
    if (!by.isSynchronous || !by.caughtUpOnce) return;
    const flushed: number[] = [];
    for (const connection of all)
      if (connection.isSynchronous && connection.caughtUpOnce && connection.flushed > 0) flushed.push(connection.flushed);
    if (flushed.length < by.view.k) return;
    flushed.sort((a, b) => b - a);
    const position = flushed[by.view.k - 1] ?? 0;
    if (position <= this.#released) return;
    this.#released = position;
    this.#release(position);
  }

  #release(position: number): void {
    if (this.#waiters.length === 0) return;
    const free = this.#waiters.filter((waiter) => waiter.record.end <= position);
    if (free.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.record.end > position);
    for (const waiter of free) waiter.done(true);
  }

  /** A backend is cancelled while it waits: the commit is there, and nobody vouches for it. */
  cancelAll(): void {
    for (const waiter of this.#waiters.splice(0)) waiter.done(false);
  }

  cancel(record: WalRecord): void {
    const index = this.#waiters.findIndex((waiter) => waiter.record === record);
    const [waiter] = index < 0 ? [] : this.#waiters.splice(index, 1);
    waiter?.done(false);
  }
}
