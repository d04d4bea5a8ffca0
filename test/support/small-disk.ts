import { execFileSync } from 'node:child_process';
import { rename, rm, statfs, unlink, writeFile } from 'node:fs/promises';

/** Puts a folder, with what lies in it, on a file system of its own (a tmpfs). Returns what unmounts it. Needs root. */
export async function smallDisk(folder: string, megabytes: number): Promise<() => void> {
  const aside = `${folder}.aside`;
  await rename(folder, aside);
  execFileSync('mkdir', [folder]);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder]);
  execFileSync('cp', ['-a', `${aside}/.`, folder]);
  await rm(aside, { recursive: true });
  return () => execFileSync('umount', ['--lazy', folder]);
}

/** Somebody else's file takes all the room. Returns what removes it. */
export async function fillDisk(folder: string): Promise<() => Promise<void>> {
  const file = `${folder}/ballast`;
  const { bavail, bsize } = await statfs(folder);
  const chunk = Buffer.alloc(2 ** 20);
  try {
    for (let left = bavail * bsize; left > -chunk.length; left -= chunk.length) await writeFile(file, chunk, { flag: 'a' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => unlink(file);
}
