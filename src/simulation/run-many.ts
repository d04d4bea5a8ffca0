import { Worker } from 'node:worker_threads';
import { emptyTally, mergeTally, type Tally } from './tally.ts';
import type { Stretch } from './worker.ts';

/** Small, so that the threads end together; large enough that handing them out costs nothing. */
const STRETCH = 25;

/** Runs `count` seeds from `from` on, shared between threads; `onProgress` is told the tally so far. Rejects when a thread fails. */
export function runMany(from: number, count: number, threads: number, onProgress: (tally: Tally) => void): Promise<Tally> {
  const tally = emptyTally();
  let next = from;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url));
      const give = (): void => {
        const stretch: Stretch = { from: next, count: Math.min(STRETCH, from + count - next) };
        next += stretch.count;
        if (stretch.count > 0) worker.postMessage(stretch);
        else void worker.terminate().then(() => resolve(), reject);
      };
      worker.on('message', (part: Tally) => {
        mergeTally(tally, part);
        onProgress(tally);
        give();
      });
      worker.on('error', reject);
      give();
    });
  return Promise.all(Array.from({ length: threads }, work)).then(() => tally);
}
