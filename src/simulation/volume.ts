import type { Epoch } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { DataDirectory } from './data-directory.ts';
import type { Process } from './process.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export interface PromiseFile {
  readonly promise: Epoch;
  readonly incarnation: Incarnation;
}

/** A member's disk: the promise outside of the data directory, and the data directory. It survives every crash. */
export class Volume {
  promise: PromiseFile;
  /** What a power failure leaves; behind `promise` only while a mutation skips the fsync. */
  syncedPromise: PromiseFile;
  pgdata: DataDirectory | null = null;
  /** 1 is an ordinary disk. */
  slowness = 1;
  full = false;
  #hung = false;
  readonly #waiting: { process: Process; run: () => void }[] = [];
  readonly #scheduler: Scheduler;
  readonly #random: Random;

  constructor(scheduler: Scheduler, random: Random, promise: PromiseFile) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.promise = promise;
    this.syncedPromise = promise;
  }

  get hung(): boolean {
    return this.#hung;
  }

  hang(): void {
    this.#hung = true;
  }

  recover(): void {
    this.#hung = false;
    this.slowness = 1;
    this.full = false;
    for (const { process, run } of this.#waiting.splice(0)) this.sync(process, run);
  }

  /** A write with fsync. While the disk hangs it does not end. */
  sync(process: Process, done: () => void): void {
    if (this.#hung) {
      this.#waiting.push({ process, run: done });
      return;
    }
    this.#scheduler.after(this.syncMs(), process, done);
  }

  syncMs(): number {
    return this.slowness * this.#random.between(0.2, 2);
  }
}
