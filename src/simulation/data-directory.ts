import type { SyncSetting } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { Upstream } from '#domain/server.ts';
import type { Random } from './random.ts';
import { type Log, tip } from './wal.ts';

/** What a standby runs, so that a promotion by any route acknowledges nothing: a name that nobody bears. */
export const NOBODY: SyncSetting = { sync: ['matriarch_none'], k: 1 };

/** A PostgreSQL data directory: what is left when every process is gone. */
export class DataDirectory {
  readonly systemIdentifier: string;
  /** Under which names this log has confirmed anything. */
  readonly incarnations: Set<Incarnation>;
  readonly log: Log;
  /** Records that survive any crash; those behind it may or may not. */
  flushed: number;
  /** The first record still kept; a standby that needs an older one has to be cloned. */
  oldest: number;
  /** Where recovery after a crash begins. */
  redo: number;
  standbySignal: boolean;
  /** The last shutdown was orderly. */
  clean: boolean;
  upstream: Upstream | null = null;
  /** False: the password file is overwritten, and no connection can be opened. */
  passwordValid = false;
  setting: SyncSetting = NOBODY;
  /** A person promoted it: on a timeline that nobody claimed, its log counts for nothing. */
  byHand = false;
  /** A person changed it by ALTER SYSTEM. */
  foreignSetting = false;
  /** Slot name to the first record it still needs. */
  readonly slots = new Map<Incarnation, number>();

  constructor(from: {
    systemIdentifier: string;
    incarnation: Incarnation;
    log: Log;
    oldest: number;
    redo: number;
    standbySignal: boolean;
    clean: boolean;
  }) {
    this.systemIdentifier = from.systemIdentifier;
    this.incarnations = new Set([from.incarnation]);
    this.log = from.log;
    this.flushed = from.log.length;
    this.oldest = from.oldest;
    this.redo = from.redo;
    this.standbySignal = from.standbySignal;
    this.clean = from.clean;
  }

  /** The processes are gone without warning: of what was not flushed, some prefix is on disk. */
  crash(random: Random): void {
    this.clean = false;
    this.log.length = this.flushed + random.below(this.log.length - this.flushed + 1);
    this.flushed = this.log.length;
  }

  get redoBytes(): number {
    if (this.clean) return 0;
    const from = this.log[this.redo];
    return from === undefined ? 0 : tip(this.log).end - from.end;
  }
}
