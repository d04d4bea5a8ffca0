import { closeSync, type FSWatcher, openSync, utimesSync, watch } from 'node:fs';
import { keepOwner } from '../../files/keep-owner.ts';

/** A process that is killed between its commit and its signal is noticed by this. */
const POLL_MS = 1000;
/** Where inotify is not to be had (its instances are few a user). */
const POLL_WITHOUT_WATCH_MS = 100;

/**
 * Tells the other processes that something was written. Watching the database itself would not do: the WAL's bytes are written,
 * and inotify fires, before the commit becomes visible through the shared memory, which fires nothing. So every writer touches a
 * file of its own kind after its commit.
 */
export class ChangeSignal {
  readonly #file: string;
  readonly #onSignal: () => void;
  #watcher: FSWatcher | undefined;
  #poll: NodeJS.Timeout | undefined;

  constructor(databaseFile: string, onSignal: () => void) {
    this.#file = `${databaseFile}-signal`;
    this.#onSignal = onSignal;
  }

  /** After the commit. A failure costs the others at most the time of a poll. */
  send(): void {
    const now = new Date();
    try {
      utimesSync(this.#file, now, now);
    } catch {
      this.#create();
    }
  }

  listen(): void {
    if (this.#poll !== undefined) return;
    this.#watch();
    this.#schedulePoll();
  }

  close(): void {
    clearTimeout(this.#poll);
    this.#poll = undefined;
    this.#stopWatching();
  }

  #schedulePoll(): void {
    this.#poll = setTimeout(
      () => {
        if (this.#watcher === undefined) this.#watch();
        this.#schedulePoll();
        this.#onSignal();
      },
      this.#watcher === undefined ? POLL_WITHOUT_WATCH_MS : POLL_MS,
    );
  }

  #watch(): void {
    this.#create();
    try {
      const watcher = watch(this.#file, (event) => {
        // 'rename': somebody removed the file; the watch is on nothing now. The next poll makes it again.
        if (event === 'rename') this.#stopWatching();
        this.#onSignal();
      });
      watcher.on('error', () => this.#stopWatching());
      this.#watcher = watcher;
    } catch {
      this.#watcher = undefined;
    }
  }

  #stopWatching(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #create(): void {
    try {
      closeSync(openSync(this.#file, 'wx', 0o600));
      keepOwner(this.#file);
    } catch {
      // It exists, or the folder is not writable: then the poll has to do.
    }
  }
}
