import { chmod, chown, mkdir } from 'node:fs/promises';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import { toDiskError } from './disk-errors.ts';

export interface FolderOwner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Makes the folders of a member that are missing. With `serverUser` (the agent runs as root, its server does not) what root reads and
 * runs by must not lie where the server's user can change it: that user gets `run`, and later the data directory. Errors: `disk.…`.
 */
export async function makeMemberFolders(memberDir: string, serverUser: FolderOwner | undefined): Promise<void> {
  const paths = memberPaths(memberDir);
  await makeFolder(paths.memberDir, serverUser === undefined ? 0o700 : 0o711);
  await makeFolder(paths.logs, 0o700);
  await makeFolder(paths.run, 0o700, serverUser);
}

/** One that is there keeps the mode and the owner that it was given. */
async function makeFolder(path: string, mode: number, owner?: FolderOwner): Promise<void> {
  try {
    if ((await mkdir(path, { recursive: true })) === undefined) return;
    await chmod(path, mode);
    if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  } catch (error) {
    throw toDiskError(error, path);
  }
}
