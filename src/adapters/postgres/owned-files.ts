import { constants, statSync } from 'node:fs';
import { chmod, chown, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fail } from '#domain/errors.ts';
import type { Owner } from './postgres-options.ts';

/** Writes files that belong to the server's user, whoever the agent runs as. */
export class OwnedFiles {
  readonly #owner: Owner | undefined;

  constructor(owner: Owner | undefined) {
    this.#owner = owner;
  }

  /**
   * The file holds either the old text or the new one, also after a power failure; when this resolves, the new one. Mode 0600: among
   * these files are passwords, and nobody but the server reads any of them.
   */
  async write(path: string, text: string): Promise<void> {
    const draft = `${path}.draft`;
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.chmod(0o600);
      if (this.#owner !== undefined) await handle.chown(this.#owner.uid, this.#owner.gid);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(draft, path);
    await syncFolder(dirname(path));
  }

  /** Writes only what differs: at rest nothing is synced. */
  async writeIfChanged(path: string, text: string): Promise<boolean> {
    if ((await readIfThere(path)) === text) return false;
    await this.write(path, text);
    return true;
  }

  /** An empty or constant file whose name is the message. False when there is one already. Not synced: call `syncFolder`. */
  async createOnce(path: string, text: string): Promise<boolean> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      handle = await open(path, 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
    try {
      if (this.#owner !== undefined) await handle.chown(this.#owner.uid, this.#owner.gid);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  }

  async folder(path: string): Promise<void> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const found = await lstat(path);
    const uid = this.#owner?.uid ?? process.geteuid?.();
    // In a shared temporary folder somebody else may have been there first.
    if (!found.isDirectory() || (found.uid !== uid && found.uid !== process.geteuid?.())) {
      fail('disk.denied', `${path} belongs to somebody else`);
    }
    await chmod(path, 0o700);
    if (this.#owner !== undefined) await chown(path, this.#owner.uid, this.#owner.gid);
  }

  /** Throws `folder.unreachable` unless the server's user may enter every folder above `path`. */
  checkReachable(path: string): void {
    const owner = this.#owner;
    if (owner === undefined) return;
    for (let folder = dirname(path); ; folder = dirname(folder)) {
      const found = statSync(folder);
      const bit = found.uid === owner.uid ? constants.S_IXUSR : found.gid === owner.gid ? constants.S_IXGRP : constants.S_IXOTH;
      if ((found.mode & bit) === 0) {
        fail('folder.unreachable', `the user ${owner.uid} that runs PostgreSQL cannot enter ${folder}, which is above ${path}`);
      }
      if (folder === dirname(folder)) return;
    }
  }
}

/** Makes the names in a folder durable: a rename is only on disk when its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Removes a file durably. False when there was none. */
export async function removeDurably(path: string): Promise<boolean> {
  try {
    await rm(path);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  await syncFolder(dirname(path));
  return true;
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
