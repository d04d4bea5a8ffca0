import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** The data directory, one that is being made, one that is being replaced, and folders of the write-ahead log. */
const CLOSED = /^(data|data\.new|data\.old|pg_wal\.\d+)$/;

/**
 * Takes the group's permissions away. A volume with `fsGroup` gives them to everything on it with each mount, and then PostgreSQL starts
 * neither with that data directory nor with that key, and libpq leaves that password file aside. Inside of the data directory and of the
 * log nobody looks at modes, and there may be a million files.
 */
export async function tightenModes(volume: string): Promise<void> {
  for (const name of await readdir(volume)) {
    const path = join(volume, name);
    const { mode, uid, isDirectory, isFile } = await entry(path);
    // Of others there are what a file system keeps for itself, such as lost+found.
    if (uid !== process.geteuid?.()) continue;
    if ((mode & 0o077) !== 0 && (isFile || isDirectory)) await chmod(path, mode & 0o700);
    if (isDirectory && !CLOSED.test(name)) await tightenModes(path);
  }
}

async function entry(path: string) {
  const found = await lstat(path);
  return { mode: found.mode & 0o777, uid: found.uid, isDirectory: found.isDirectory(), isFile: found.isFile() };
}
