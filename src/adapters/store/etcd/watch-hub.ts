import type { StoreChange } from '#domain/ports/store.ts';
import { toVersioned } from './encoding.ts';
import type { EtcdClient } from './etcd-client.ts';
import { Follower } from './follower.ts';
import type { MirrorChange } from './mirror.ts';

interface Watcher {
  readonly prefix: string;
  readonly onChange: (change: StoreChange) => void;
  /** Has heard how things stand, and hears every change from now on. */
  ready: boolean;
  ended: boolean;
}

interface Following {
  readonly follower: Follower;
  readonly ended: Promise<void>;
}

/** All watches of a store on one stream, which is open as long as there is one. */
export class WatchHub {
  readonly #client: EtcdClient;
  readonly #root: string;
  readonly #watchers = new Set<Watcher>();
  #following: Following | undefined;

  constructor(client: EtcdClient, root: string) {
    this.#client = client;
    this.#root = root;
  }

  add(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#client.closing.aborted) return;
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
      const follower = new Follower(this.#client, this.#root, (changes) => this.#tellAll(changes));
      this.#following = { follower, ended: follower.run() };
    }
    return this.#following;
  }

  #introduce(watcher: Watcher, follower: Follower): void {
    if (watcher.ended) return;
    watcher.ready = true;
    for (const { key, text, version } of follower.entries()) tell(watcher, { key, text, version });
  }

  #tellAll(changes: readonly MirrorChange[]): void {
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

function tell(watcher: Watcher, { key, text, version }: MirrorChange): void {
  if (watcher.ended || !key.startsWith(watcher.prefix)) return;
  try {
    watcher.onChange({ key, current: text === null ? undefined : toVersioned({ text, version }) });
  } catch (error) {
    // The stream serves others, too.
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
