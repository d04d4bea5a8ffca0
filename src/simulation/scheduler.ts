import type { Process } from './process.ts';

interface Entry {
  readonly at: number;
  readonly order: number;
  readonly process: Process | null;
  readonly run: () => void;
}

/**
 * A step of work that takes simulated time: it yields how many milliseconds pass before it goes on. Wherever it yields, its process
 * can be killed or paused, so every `yield` is a crash point.
 */
export type Task<T> = Generator<number, T, void>;

/** The time of the world and everything that is still to happen, in order. Milliseconds; equal times keep the order of their making. */
export class Scheduler {
  now = 0;
  executed = 0;
  #order = 0;
  readonly #heap: Entry[] = [];

  at(time: number, process: Process | null, run: () => void): void {
    this.#push({ at: Math.max(time, this.now), order: this.#order++, process, run });
  }

  after(delayMs: number, process: Process | null, run: () => void): void {
    this.at(this.now + delayMs, process, run);
  }

  /** Runs `task` in `process`; `done` is called with its result, never when the process died. The answer cancels it. */
  start<T>(process: Process | null, task: Task<T>, done: (result: T) => void): () => void {
    let cancelled = false;
    const advance = (): void => {
      if (cancelled) return;
      const next = task.next();
      if (next.done === true) done(next.value);
      else this.after(next.value, process, advance);
    };
    this.after(0, process, advance);
    return () => {
      cancelled = true;
    };
  }

  /** Lets the next thing happen. False when nothing is left. What belongs to a dead process vanishes, to a paused one waits. */
  next(): boolean {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return false;
      this.now = entry.at;
      const { process } = entry;
      if (process !== null) {
        if (!process.alive) continue;
        if (process.paused) {
          process.deferred.push(entry.run);
          continue;
        }
      }
      this.executed++;
      entry.run();
      return true;
    }
  }

  resume(process: Process): void {
    process.paused = false;
    for (const run of process.deferred.splice(0)) this.after(0, process, run);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        child++;
        below = right;
      }
      if (!isBefore(below, last)) break;
      heap[index] = below;
      index = child;
    }
    heap[index] = last;
    return top;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
