import { accessSync, closeSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { keepOwner } from '../../files/keep-owner.ts';
import { StoreFileError, toFailure } from './failures.ts';
import type { ScanResult, StoreAnswer, StoredRow, StoreRequest } from './requests.ts';

/** 'MTRC': tells our file from any other SQLite database (https://sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x4d545243;
/** Of the tables below. A newer Matriarch that changes them raises it, and an older one then refuses the file. */
const SCHEMA_VERSION = 1;
/** Tombstones kept for watchers that are behind; who is further behind compares whole lists. */
const TOMBSTONES_KEPT = 1000;
/** Sorts behind every other character in UTF-8, hence behind every key with the prefix. */
const LAST = '\u{10FFFF}';

/**
 * The version is the row's id. AUTOINCREMENT never gives one twice, whatever was deleted, and a tombstone (value NULL) takes one
 * too: so the highest id tells whether anything changed.
 */
const SCHEMA = `
  CREATE TABLE entry (
    version INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    value TEXT CHECK (json_valid(value)),
    boot TEXT,
    expires_ms REAL
  ) STRICT;
  CREATE TABLE pruned (version INTEGER NOT NULL) STRICT;
  INSERT INTO pruned VALUES (0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** Those that need the file. */
export type FileRequest = Exclude<StoreRequest, { kind: 'create' | 'listen' | 'close' }>;

interface Entry {
  readonly version: number;
  readonly key: string;
  readonly value: string | null;
  readonly boot: string | null;
  readonly expires_ms: number | null;
}

/**
 * The embedded store's file: SQLite, opened by several processes of one machine, each of which may be killed or stopped at any
 * instruction. Everything here is synchronous and runs in a worker.
 *
 * Journal mode WAL, because in the others a writer that is stopped (SIGSTOP, a debugger, a frozen container) inside its commit
 * keeps every reader out until it goes on. In WAL mode readers and writers never wait for each other. What remains: a process
 * stopped while it holds the write lock blocks the other writers. That lasts tens of microseconds for a write that need not be
 * durable, and one fsync for one that must; nothing else is done under the lock, and no transaction outlives a call. A reader
 * stopped inside its read lets the WAL grow until it goes on. A process that is killed holds nothing: the kernel drops its locks.
 *
 * `synchronous` is FULL for durable writes: the WAL is synced before anybody can see the commit. NORMAL for the others: a kill
 * of the process loses nothing, the loss of power may lose the last of them.
 *
 * Expiry is by CLOCK_MONOTONIC, which all processes of a machine share until it boots anew (the boot id tells), so that a
 * clock set forwards or backwards expires nothing and prolongs nothing.
 */
export class StoreFile {
  readonly #file: string;
  readonly #inode: bigint;
  readonly #database: DatabaseSync;
  readonly #boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  readonly #statements;
  #durable = true;
  #seen = 0;

  /** Throws StoreFileError; with `busy` when another process is just opening it: try again. */
  constructor(file: string, create: boolean) {
    this.#file = file;
    if (create) createFile(file);
    this.#inode = inodeOf(file) ?? lost(file);
    try {
      // Timeout 0: the asker waits, not this thread, so that reads are not queued behind a write that waits for a lock.
      this.#database = new DatabaseSync(file, { timeout: 0 });
    } catch (error) {
      throw explain(error, file);
    }
    try {
      this.#prepareDatabase(create);
      this.#statements = this.#prepareStatements();
    } catch (error) {
      this.#database.close();
      throw explain(error, file);
    }
  }

  /** Throws StoreFileError; with `busy`, nothing was done. */
  answer(request: FileRequest): StoreAnswer {
    // Removed or replaced: this process would go on with a file that nobody else sees.
    if (inodeOf(this.#file) !== this.#inode) lost(this.#file);
    try {
      switch (request.kind) {
        case 'get':
          return { kind: 'row', row: this.#get(request.key) };
        case 'list':
          return { kind: 'rows', rows: this.#list(request.prefix) };
        case 'write':
          return this.#write(request);
        case 'delete':
          return this.#delete(request.key);
        case 'scan':
          return { kind: 'scanned', result: this.#scan(request.prefix, request.since) };
      }
    } catch (error) {
      throw toFailure(error);
    }
  }

  /** Has anything been written since the last call? */
  hasChanged(): boolean {
    const highest = this.#highestVersion();
    const changed = highest !== this.#seen;
    this.#seen = highest;
    return changed;
  }

  /** Is the file still the one that was opened? */
  isInPlace(): boolean {
    return inodeOf(this.#file) === this.#inode;
  }

  close(): void {
    this.#database.close();
  }

  #prepareDatabase(create: boolean): void {
    const database = this.#database;
    const number = (pragma: string) => Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
    const isEmpty = () => Number(database.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n) === 0;
    const check = () => {
      if (number('application_id') !== APPLICATION_ID)
        throw new StoreFileError('store.foreign', `${this.#file} is another program's database`);
      const version = number('user_version');
      if (version > SCHEMA_VERSION) {
        throw new StoreFileError('store.newer', `${this.#file} has schema ${version}; this Matriarch knows ${SCHEMA_VERSION}`);
      }
    };
    // Before anything is written: a foreign file stays as it is.
    const empty = isEmpty() && number('application_id') === 0;
    if (!empty) check();
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY;');
    database.exec('PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 250; PRAGMA journal_size_limit = 1048576;');
    database.exec('PRAGMA synchronous = FULL;');
    if (!empty) return;
    if (!create) throw new StoreFileError('store.corrupt', `${this.#file} has been emptied`);
    this.#inTransaction(() => {
      if (isEmpty()) database.exec(SCHEMA);
    });
    check();
  }

  #prepareStatements() {
    const prepare = (sql: string) => this.#database.prepare(sql);
    return {
      one: prepare('SELECT version, key, value, boot, expires_ms FROM entry WHERE key = ?'),
      range: prepare(
        'SELECT version, key, value, boot, expires_ms FROM entry WHERE key >= ? AND key < ? AND value IS NOT NULL ORDER BY key',
      ),
      since: prepare('SELECT version, key, value FROM entry WHERE version > ? AND key >= ? AND key < ? ORDER BY version'),
      highest: prepare('SELECT max(version) AS version FROM entry'),
      write: prepare('INSERT OR REPLACE INTO entry (key, value, boot, expires_ms) VALUES (?, ?, ?, ?) RETURNING version'),
      pruned: prepare('SELECT version FROM pruned'),
      oldTombstone: prepare('SELECT version FROM entry WHERE value IS NULL ORDER BY version DESC LIMIT 1 OFFSET ?'),
      prune: prepare('DELETE FROM entry WHERE value IS NULL AND version <= ?'),
      setPruned: prepare('UPDATE pruned SET version = ?'),
      begin: prepare('BEGIN IMMEDIATE'),
      snapshot: prepare('BEGIN'),
      commit: prepare('COMMIT'),
      rollback: prepare('ROLLBACK'),
      full: prepare('PRAGMA synchronous = FULL'),
      normal: prepare('PRAGMA synchronous = NORMAL'),
    };
  }

  #get(key: string): StoredRow | undefined {
    return this.#alive(this.#statements.one.get(key) as Entry | undefined, monotonicMs());
  }

  #list(prefix: string): StoredRow[] {
    const now = monotonicMs();
    const entries = this.#statements.range.all(prefix, prefix + LAST) as unknown as Entry[];
    return entries.flatMap((entry) => this.#alive(entry, now) ?? []);
  }

  #write(request: Extract<StoreRequest, { kind: 'write' }>): StoreAnswer {
    this.#setDurable(request.durable);
    return this.#inTransaction(() => {
      const now = monotonicMs();
      if (request.expected !== 'any') {
        const current = this.#alive(this.#statements.one.get(request.key) as Entry | undefined, now);
        if ((current?.version ?? null) !== request.expected) return { kind: 'conflict', current };
      }
      const expires = request.ttlMs === null ? null : now + request.ttlMs;
      const boot = request.ttlMs === null ? null : this.#boot;
      const row = this.#statements.write.get(request.key, request.value, boot, expires);
      return { kind: 'written', version: Number(row?.version) };
    });
  }

  #delete(key: string): StoreAnswer {
    this.#setDurable(true);
    return this.#inTransaction(() => {
      const entry = this.#statements.one.get(key) as Entry | undefined;
      if (entry === undefined || entry.value === null) return { kind: 'done' };
      this.#statements.write.get(key, null, null, null);
      const oldest = this.#statements.oldTombstone.get(TOMBSTONES_KEPT) as { version: number } | undefined;
      if (oldest !== undefined) {
        this.#statements.prune.run(oldest.version);
        this.#statements.setPruned.run(oldest.version);
      }
      return { kind: 'done' };
    });
  }

  #scan(prefix: string, since: number): ScanResult {
    // One snapshot for all statements: what is missing in one of them must not be in another.
    this.#statements.snapshot.run();
    try {
      const upTo = this.#highestVersion();
      const now = monotonicMs();
      const entries = this.#statements.range.all(prefix, prefix + LAST) as unknown as Entry[];
      const live = entries.filter((entry) => this.#alive(entry, now) !== undefined);
      const expired = entries.filter((entry) => !live.includes(entry)).map(({ key }) => key);
      const times = live.flatMap(({ expires_ms }) => (expires_ms === null ? [] : [expires_ms]));
      const pruned = Number(this.#statements.pruned.get()?.version);
      // A highest version below what the watcher saw: an older copy of the file was put in place.
      const complete = since === 0 || since < pruned || since > upTo;
      const newer = this.#statements.since.all(since, prefix, prefix + LAST) as unknown as Entry[];
      return {
        rows: (complete ? live.sort((a, b) => a.version - b.version) : newer.filter(({ key }) => !expired.includes(key))).map(
          ({ key, value, version }) => ({ key, value, version }),
        ),
        expired,
        complete,
        upTo,
        expiresInMs: times.length === 0 ? null : Math.min(...times) - now,
      };
    } finally {
      this.#statements.commit.run();
    }
  }

  #alive(entry: Entry | undefined, now: number): StoredRow | undefined {
    if (entry === undefined || entry.value === null) return undefined;
    if (entry.expires_ms !== null && (entry.boot !== this.#boot || entry.expires_ms <= now)) return undefined;
    return { key: entry.key, value: entry.value, version: entry.version };
  }

  #highestVersion(): number {
    return Number(this.#statements.highest.get()?.version ?? 0);
  }

  #setDurable(durable: boolean): void {
    if (durable === this.#durable) return;
    (durable ? this.#statements.full : this.#statements.normal).run();
    this.#durable = durable;
  }

  #inTransaction<Result>(work: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

/** CLOCK_MONOTONIC in milliseconds: the same for every process of the machine. (performance.now() counts from the process's start.) */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * Makes the file readable by its owner alone, who is the owner of the folder: root may start a cluster for another user. Only a
 * file that is not there is ever opened here, because closing any descriptor of the database would drop this process's locks on it
 * (https://sqlite.org/howtocorrupt.html, section 2.2). SQLite gives its `-wal` and `-shm` files the same mode and owner.
 */
function createFile(file: string): void {
  try {
    closeSync(openSync(file, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw toFailure(error);
  }
  keepOwner(file);
}

function inodeOf(file: string): bigint | undefined {
  try {
    return statSync(file, { bigint: true }).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw toFailure(error);
  }
}

/** SQLite says of a file or folder that may not be written only that it cannot open something. */
function explain(error: unknown, file: string): StoreFileError {
  const failure = toFailure(error);
  if (failure.busy || failure.code !== 'store.unavailable') return failure;
  try {
    for (const path of [dirname(file), file]) accessSync(path, constants.R_OK | constants.W_OK);
    return failure;
  } catch (denied) {
    return toFailure(denied);
  }
}

function lost(file: string): never {
  throw new StoreFileError('store.unavailable', `${file} was removed or replaced`, { reopen: true });
}
