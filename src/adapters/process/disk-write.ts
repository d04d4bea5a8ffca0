import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

const BYTES = 512;

/** A small synced write into a folder, over the same block again and again: a full disk is told from a hung one. */
export class DiskWrite {
  readonly #folder: string;
  #file: FileHandle | undefined;
  #isFull = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** By the last write that ended. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Resolves when it has ended, however: errors of the disk are PostgreSQL's to judge. */
  async attempt(): Promise<void> {
    try {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC;
      this.#file ??= await open(join(this.#folder, 'matriarch.canary'), flags, 0o600);
      // Cut and written anew, it needs a block, and a disk without one says so.
      await this.#file.truncate(0);
      await this.#file.write(Buffer.alloc(BYTES), 0, BYTES, 0);
      this.#isFull = false;
    } catch (error) {
      this.#isFull = ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');
      // The folder may have been replaced by a clone.
      await this.#file?.close().catch(() => {});
      this.#file = undefined;
    }
  }
}
