import { readdir, rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import type { FolderCluster } from '#programs/cli/cluster-folder.ts';
import { UNFINISHED } from './create-cluster.ts';

/**
 * Deletes what Matriarch made in the folder, and the folder when nothing else is in it. Nothing of the cluster may run. Interrupted, it
 * leaves a folder that the next `up` clears. Errors: `disk.…`.
 */
export async function purgeCluster({ paths, description }: FolderCluster): Promise<void> {
  const { dir } = paths;
  const own = [
    paths.secrets,
    paths.connection,
    paths.authority,
    paths.ca,
    paths.agents,
    paths.proxy,
    paths.supervisorLog,
    paths.lockHolder,
    paths.lock,
  ];
  try {
    await writeFile(join(dir, UNFINISHED), '');
    await rm(paths.description);
    const members = description.members.map(({ name }) => paths.member(name).memberDir);
    const stores = (await readdir(dir)).map((name) => join(dir, name)).filter((path) => path.startsWith(paths.store));
    for (const path of [...members, ...stores, ...own]) await rm(path, { recursive: true, force: true });
    await rm(join(dir, UNFINISHED));
    if ((await readdir(dir)).length === 0) await rmdir(dir);
  } catch (error) {
    throw toDiskError(error, dir);
  }
}
