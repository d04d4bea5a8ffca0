import { chownSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Gives a file that root made to the owner of its folder: root may start a cluster in another user's folder. */
export function keepOwner(file: string): void {
  if (process.geteuid?.() !== 0) return;
  const folder = statSync(dirname(file));
  chownSync(file, folder.uid, folder.gid);
}
