import type { StoreChange } from '#domain/ports/store.ts';

/** Follows everything in a store, through whatever happens to it. */
export interface StoreFollower {
  /** Resolves when it is stopped. */
  run(): Promise<void>;
  /** Resolves when everything is told that was written before this call, or when it is stopped. */
  refresh(): Promise<void>;
  /** What has been told and stands, in the order in which it was written. */
  entries(): readonly StoreChange[];
  stop(): void;
}

interface Watcher {
  readonly prefix: string;
  readonly onChange: (change: StoreChange) => void;
  /** Has heard how things stand, and hears every change from now on. */
  ready: boolean;
  ended: boolean;
}

interface Following {
  readonly follower: StoreFollower;
  readonly ended: Promise<void>;
}

/** All watches of a store on one stream, which is open as long as there is one. */
export class WatchHub {
  readonly #follower: (tell: (changes: readonly StoreChange[]) => void) => StoreFollower;
  readonly #closing: AbortSignal;
  readonly #watchers = new Set<Watcher>();
  #following: Following | undefined;

  /** `closing` aborts when the store is closed. */
  constructor(follower: (tell: (changes: readonly StoreChange[]) => void) => StoreFollower, closing: AbortSignal) {
    this.#follower = follower;
    this.#closing = closing;
  }

  add(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#closing.aborted) return;
    const watcher: Watcher = { prefix, onChange, ready: false, ended: false };
    this.#watchers.add(watcher);
    signal.addEventListener('abort', () => this.#end(watcher), { once: true });
    const { follower } = this.#follow();
    void follower.refresh().then(() => this.#introduce(watcher, follower));
  }

  /** Resolves when nothing is open any more. */
  async close(): Promise<void> {
    const ended = this.#following?.ended;
    for (const watcher of [...this.#watchers]) this.#end(watcher);
    await ended;
  }

  #follow(): Following {
    if (this.#following === undefined) {
      const follower = this.#follower((changes) => this.#tellAll(changes));
      this.#following = { follower, ended: follower.run() };
    }
    return this.#following;
  }

  #introduce(watcher: Watcher, follower: StoreFollower): void {
    if (watcher.ended) return;
    watcher.ready = true;
    for (const entry of follower.entries()) tell(watcher, entry);
  }

  #tellAll(changes: readonly StoreChange[]): void {
    for (const change of changes) {
      for (const watcher of [...this.#watchers]) if (watcher.ready) tell(watcher, change);
    }
  }

  #end(watcher: Watcher): void {
    watcher.ended = true;
    this.#watchers.delete(watcher);
    if (this.#watchers.size > 0) return;
    this.#following?.follower.stop();
    this.#following = undefined;
  }
}

function tell(watcher: Watcher, change: StoreChange): void {
  if (watcher.ended || !change.key.startsWith(watcher.prefix)) return;
  try {
    watcher.onChange(change);
  } catch (error) {
    // The stream serves others, too.
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
