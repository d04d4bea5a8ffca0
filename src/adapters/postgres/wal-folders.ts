import { readdir, readlink, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fail } from '#domain/errors.ts';
import type { Layout } from './layout.ts';
import { type OwnedFiles, syncFolder } from './owned-files.ts';

const FOLDER = /^pg_wal\.(\d{1,15})$/;

/**
 * Where the write-ahead log has a volume of its own: each data directory has a folder there that its `pg_wal` leads to. A data directory
 * that is being made gets another one, so that the one before stays whole until it is replaced. Of the mount itself (`lost+found`, modes,
 * an owner) PostgreSQL sees nothing.
 */
export class WalFolders {
  readonly #layout: Layout;
  readonly #files: OwnedFiles;

  constructor(layout: Layout, files: OwnedFiles) {
    this.#layout = layout;
    this.#files = files;
  }

  /**
   * The folder for a data directory that is about to be made, for PostgreSQL's programs to make; undefined where the log lies inside of
   * the data directory. Errors: `disk.denied` where the volume is not there, `folder.unreachable`.
   */
  async fresh(): Promise<string | undefined> {
    const { walVolume } = this.#layout;
    if (walVolume === undefined) return undefined;
    // Made here, it would be on the disk that the volume is to spare.
    if (!(await isThere(dirname(walVolume))))
      fail('disk.denied', `${dirname(walVolume)}, the folder for the write-ahead log, is not there`);
    this.#files.checkReachable(walVolume);
    await this.#files.folder(walVolume);
    const kept = await this.sweep();
    return join(walVolume, `pg_wal.${Math.max(0, ...kept.map((name) => Number(FOLDER.exec(name)?.[1]))) + 1}`);
  }

  /** Removes what no data directory leads to any more: of one that was replaced, or whose making was not finished. Returns the rest. */
  async sweep(): Promise<readonly string[]> {
    const { walVolume, dataDir, oldDataDir } = this.#layout;
    if (walVolume === undefined) return [];
    const used = await Promise.all([dataDir, oldDataDir].map((dir) => identityOf(join(dir, 'pg_wal'))));
    const kept: string[] = [];
    const superfluous: string[] = [];
    for (const name of (await namesIn(walVolume)).filter((one) => FOLDER.test(one))) {
      const identity = await identityOf(join(walVolume, name));
      (identity !== undefined && used.includes(identity) ? kept : superfluous).push(name);
    }
    for (const name of superfluous) await rm(join(walVolume, name), { recursive: true, force: true });
    if (superfluous.length > 0) await syncFolder(walVolume);
    return kept;
  }
}

/**
 * Where `pg_wal` leads to, while nothing is there: the volume is not mounted. Undefined otherwise. Such a data directory is not worthless;
 * it must not be taken for one that is missing.
 */
export async function missingWal(dataDir: string): Promise<string | undefined> {
  const path = await target(dataDir);
  return path === undefined || (await isThere(path)) ? undefined : path;
}

/** None where there is no such folder: the log of this data directory was made before it was asked for. */
async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return [];
  });
}

/** Of what stands there, behind links: the volume may by now be mounted elsewhere, and the log of a data directory is lost but once. */
async function identityOf(path: string): Promise<string | undefined> {
  const { dev, ino } = await stat(path, { bigint: true }).catch(() => ({ dev: 0n, ino: 0n }));
  return ino === 0n ? undefined : `${dev}:${ino}`;
}

async function target(dataDir: string): Promise<string | undefined> {
  return readlink(join(dataDir, 'pg_wal')).catch(() => undefined);
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
