import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { isAlive, type ProcessIdentity, startTimeOf } from '#adapters/process/processes.ts';
import { fail } from '#domain/errors.ts';

/**
 * Held by the one process that supervises the cluster in a folder. The lock itself is the operating system's, taken by SQLite on a
 * file of its own: two can never hold it, and it ends with the process, however that ends. The other file says who holds it.
 */
export class SupervisorLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Errors: `cluster.alreadyUp` with the pid of the holder. */
  static async take(lockFile: string, holderFile: string): Promise<SupervisorLock> {
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(lockFile, { timeout: 0 });
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    } catch (error) {
      database?.close();
      if ((error as { errcode?: number }).errcode === 5) {
        const pid = readHolder(holderFile)?.pid;
        fail('cluster.alreadyUp', `${lockFile} is held by ${pid === undefined ? 'another process' : `process ${pid}`}`, error);
      }
      throw toDiskError(error, lockFile);
    }
    const holder: ProcessIdentity = { pid: process.pid, startTime: startTimeOf(process.pid) ?? 0 };
    await writeAtomically(holderFile, `${JSON.stringify(holder)}\n`);
    return new SupervisorLock(database);
  }

  release(): void {
    this.#database.close();
  }
}

/** The process that supervises the cluster now; undefined when nobody does. */
export function readHolder(holderFile: string): ProcessIdentity | undefined {
  try {
    const holder = JSON.parse(readFileSync(holderFile, 'utf8')) as ProcessIdentity;
    return Number.isInteger(holder.pid) && isAlive(holder.pid, holder.startTime) ? holder : undefined;
  } catch {
    return undefined;
  }
}
