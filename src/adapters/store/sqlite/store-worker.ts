import { Worker } from 'node:worker_threads';
import { entryFile } from '../../process/entry-file.ts';
import type { StoreRequest, WorkerMessage, WorkerReply, WorkerRequest, WorkerSettings } from './requests.ts';

/** Beyond this the disk hangs for good: more threads would hang with it. */
const MAX_STUCK_WORKERS = 3;
/** Requests that may wait for one worker. */
const MAX_OUTSTANDING = 1000;

type Outcome = WorkerReply | { readonly kind: 'lost'; readonly detail: string };

interface Outstanding {
  settle(outcome: Outcome): void;
}

interface Running {
  readonly worker: Worker;
  readonly outstanding: Map<number, Outstanding>;
}

/**
 * The worker thread that owns the file, replaced when it does not answer in time. A thread inside a system call on a hung disk
 * cannot be ended; it is left behind, and a few of them are the limit.
 */
export class StoreWorker {
  readonly #settings: WorkerSettings;
  readonly #onChanged: () => void;
  #running: Running | undefined;
  #stuck = 0;
  #nextId = 1;
  #listening = false;

  constructor(settings: WorkerSettings, onChanged: () => void) {
    this.#settings = settings;
    this.#onChanged = onChanged;
  }

  /**
   * Resolves with `lost` when there was no answer until `deadline` (performance.now()): the request may have been carried out.
   * Rejects with the signal's reason, and then too.
   */
  ask(request: StoreRequest, deadline: number, signal?: AbortSignal): Promise<Outcome> {
    const running = this.#start();
    if (typeof running === 'string') return Promise.resolve({ kind: 'lost', detail: running });
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      const forget = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        running.outstanding.delete(id);
      };
      const settle = (outcome: Outcome) => {
        forget();
        resolve(outcome);
      };
      const onAbort = () => {
        forget();
        reject(signal?.reason);
      };
      // After a pause of this whole process the timer fires before the answer that has long been there is read: look once more.
      const onDeadline = () => setImmediate(() => running.outstanding.has(id) && this.#replace(running));
      const timer = setTimeout(onDeadline, Math.max(0, deadline - performance.now()));
      signal?.addEventListener('abort', onAbort, { once: true });
      running.outstanding.set(id, { settle });
      running.worker.postMessage({ id, request } satisfies WorkerRequest);
    });
  }

  /** From now on, and from every later worker, `onChanged` is called. */
  listen(): void {
    this.#listening = true;
    if (this.#running !== undefined)
      this.#running.worker.postMessage({ id: 0, request: { kind: 'listen' } } satisfies WorkerRequest);
  }

  /** Waits for the file to be closed until `deadline`, and no longer. */
  async close(deadline: number): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    await this.ask({ kind: 'close' }, deadline);
    this.#running = undefined;
    await Promise.race([running.worker.terminate(), new Promise((resolve) => setTimeout(resolve, 100).unref())]);
  }

  #start(): Running | string {
    if (this.#running !== undefined) {
      return this.#running.outstanding.size < MAX_OUTSTANDING ? this.#running : 'too many requests are waiting';
    }
    if (this.#stuck >= MAX_STUCK_WORKERS) return 'the disk of the store does not answer';
    const worker = new Worker(entryFile(import.meta.url, 'sqlite-worker'), {
      workerData: this.#settings,
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1 },
    });
    const running: Running = { worker, outstanding: new Map() };
    this.#running = running;
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'changed') this.#onChanged();
      else running.outstanding.get(message.id)?.settle(message);
    });
    worker.on('error', (error) => this.#lose(running, error.message));
    worker.on('exit', () => this.#lose(running, 'the worker of the store ended'));
    if (this.#listening) this.listen();
    return running;
  }

  #replace(running: Running): void {
    this.#lose(running, 'the store did not answer in time');
    this.#stuck += 1;
    // Resolves when the thread has left its system call, which may be never.
    const ended = () => {
      this.#stuck -= 1;
    };
    running.worker.terminate().then(ended, ended);
  }

  #lose(running: Running, detail: string): void {
    const wasRunning = this.#running === running;
    if (wasRunning) this.#running = undefined;
    for (const { settle } of [...running.outstanding.values()]) settle({ kind: 'lost', detail });
    // Watchers ask again, which starts the next worker.
    if (wasRunning && this.#listening) this.#onChanged();
  }
}
