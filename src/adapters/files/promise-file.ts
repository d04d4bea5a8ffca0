import { readFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fail } from '#domain/errors.ts';
import type { Epoch } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import { toDiskError } from './disk-errors.ts';
import { writeAtomically } from './write-atomically.ts';

const FORMAT = 1;

export interface PromiseOnDisk {
  readonly epoch: Epoch;
  readonly incarnation: Incarnation;
}

/**
 * A member's promise and incarnation, outside the data directory so that no clone or rewind replaces them. A promise that is
 * forgotten or lowered lets two leaders be: a file that cannot be read is an error, never "no promise yet", and a lower epoch is
 * not written.
 */
export class PromiseFile {
  readonly #file: string;
  #last: PromiseOnDisk | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined when there is no file. Errors: `promise.corrupt`, `disk.denied`, `disk.failed`. */
  async read(): Promise<PromiseOnDisk | undefined> {
    let text: string;
    try {
      text = await readFile(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw toDiskError(error, this.#file);
    }
    const promise = parse(text);
    if (typeof promise === 'string') return fail('promise.corrupt', `${this.#file}: ${promise}`);
    this.#last = promise;
    return promise;
  }

  /**
   * On disk, file and folder synced, when it resolves. Writes follow each other. Errors: those of `writeAtomically`, after which the
   * old or the new promise stands there; `internal.bug` for an epoch below the last one read or written.
   */
  write(promise: PromiseOnDisk): Promise<void> {
    const written = this.#writing.then(() => this.#write(promise));
    this.#writing = written.catch(() => {});
    return written;
  }

  async #write({ epoch, incarnation }: PromiseOnDisk): Promise<void> {
    if (this.#last !== undefined && epoch < this.#last.epoch) {
      fail('internal.bug', `${this.#file}: a promise of ${this.#last.epoch} was to be lowered to ${epoch}`);
    }
    // From the attempt on it counts: a write that failed may have reached the disk.
    this.#last = { epoch, incarnation };
    const content = { version: FORMAT, epoch, incarnation };
    await writeAtomically(this.#file, `${JSON.stringify({ ...content, checksum: checksumOf(content) })}\n`);
  }
}

function checksumOf(content: { readonly version: number; readonly epoch: Epoch; readonly incarnation: Incarnation }): number {
  return crc32(JSON.stringify([content.version, content.epoch, content.incarnation]));
}

/** The promise, or what is wrong with the text. */
function parse(text: string): PromiseOnDisk | string {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const { version, epoch, incarnation, checksum } = (content ?? {}) as Readonly<Record<string, unknown>>;
  if (version !== FORMAT) return `its format is ${JSON.stringify(version)}; this Matriarch knows ${FORMAT}`;
  if (typeof epoch !== 'number' || !Number.isSafeInteger(epoch) || epoch < 0) return 'its epoch is no whole number';
  if (typeof incarnation !== 'string' || incarnation === '') return 'it names no incarnation';
  if (checksum !== checksumOf({ version, epoch, incarnation })) return 'its checksum is wrong';
  return { epoch, incarnation };
}
