import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const EVERY_MS = 2000;

/**
 * Calls `changed` when one of the files is another than before. It looks every two seconds: a folder may be a mount or a link that is
 * swapped as a whole, of which a watch by the kernel would hear nothing. What is still being written is left until the next look.
 */
export async function watchFiles(
  files: () => readonly string[],
  changed: () => void,
  signal: AbortSignal,
  everyMs = EVERY_MS,
): Promise<void> {
  let seen = await signatureOf(files());
  let before = seen;
  while (!signal.aborted) {
    await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {});
    const now = await signatureOf(files());
    if (now !== seen && now === before && !signal.aborted) {
      seen = now;
      changed();
    }
    before = now;
  }
}

async function signatureOf(files: readonly string[]): Promise<string> {
  const found = await Promise.all(
    files.map((file) =>
      stat(file).then(
        ({ ino, size, mtimeMs }) => `${file}:${ino}:${size}:${mtimeMs}`,
        () => `${file}:missing`,
      ),
    ),
  );
  return found.join(' ');
}
