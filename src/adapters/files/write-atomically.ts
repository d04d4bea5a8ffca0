import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { toDiskError } from './disk-errors.ts';

export interface WriteAtomicallyOptions {
  /** Default 0600. */
  readonly mode?: number;
  /** Default: whoever this process runs as. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Replaces the content of `file`: after a crash at any moment the old or the new content is there, whole, and once this has resolved
 * it is the new one. One writer a file at a time. Errors: `disk.full`, `disk.readOnly`, `disk.denied`, `disk.failed`; then the old
 * content stands, unless the failure was that of the folder's last sync (then it is one of the two).
 */
export async function writeAtomically(
  file: string,
  content: string | Uint8Array,
  options: WriteAtomicallyOptions = {},
): Promise<void> {
  // A fixed name: what a crash leaves behind is one file, and the next write replaces it.
  const next = `${file}.next`;
  try {
    await rm(next, { force: true });
    await writeSynced(next, content, options);
    await rename(next, file);
    await syncFolder(dirname(file));
  } catch (error) {
    await rm(next, { force: true }).catch(() => {});
    throw toDiskError(error, file);
  }
}

async function writeSynced(
  file: string,
  content: string | Uint8Array,
  { mode = 0o600, owner }: WriteAtomicallyOptions,
): Promise<void> {
  const handle = await open(file, 'wx', mode);
  await using(handle, async () => {
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    // The mode of `open` is subject to the umask.
    await handle.chmod(mode);
    await handle.writeFile(content);
    await handle.sync();
  });
}

/** Makes renames and new names in the folder survive a loss of power. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await using(handle, () => handle.sync());
}

async function using(handle: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await handle.close();
  }
}
