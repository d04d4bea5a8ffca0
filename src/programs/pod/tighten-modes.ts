import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { memberPaths } from '#domain/config/cluster-paths.ts';

/**
 * Takes the group's permissions away. A volume with `fsGroup` gives them to everything on it with each mount, and then PostgreSQL starts
 * neither with that data directory nor with that key, and libpq leaves that password file aside. Inside of the data directory nobody
 * looks at modes, and there may be a million files.
 */
export async function tightenModes(memberDir: string): Promise<void> {
  const { data } = memberPaths(memberDir);
  await tighten(memberDir, [data, `${data}.new`, `${data}.old`]);
}

async function tighten(folder: string, closed: readonly string[]): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const { mode, uid, isDirectory, isFile } = await entry(path);
    // Of others there are what a file system keeps for itself, such as lost+found.
    if (uid !== process.geteuid?.()) continue;
    if ((mode & 0o077) !== 0 && (isFile || isDirectory)) await chmod(path, mode & 0o700);
    if (isDirectory && !closed.includes(path)) await tighten(path, closed);
  }
}

async function entry(path: string) {
  const found = await lstat(path);
  return { mode: found.mode & 0o777, uid: found.uid, isDirectory: found.isDirectory(), isFile: found.isFile() };
}
