import { copyFile, stat, truncate } from 'node:fs/promises';

const LIMIT_BYTES = 32 * 2 ** 20;

/**
 * Keeps the logs that are written by a process's standard output from filling the disk: one that is too long is copied to `FILE.1` and
 * emptied. Its writers append, so they go on at its new beginning. What fails here is tried again the next time; a full disk is no
 * reason to stop a cluster.
 */
export async function limitLogs(files: readonly string[], limitBytes = LIMIT_BYTES): Promise<void> {
  for (const file of files) {
    try {
      if ((await stat(file)).size <= limitBytes) continue;
      await copyFile(file, `${file}.1`).catch(() => {});
      await truncate(file, 0);
    } catch {
      // It does not exist yet, or the disk has no room for a copy.
    }
  }
}
