import type { Process } from './process.ts';
import type { StoreKey } from './store.ts';
import type { World } from './world.ts';

const TIMEOUT_MS = 1000;
const RESUME_MS = 150;

/**
 * One agent's way to the store: requests and answers take time and get lost, so that an operation may have happened although no
 * answer came; changes are watched, with intermediate ones skipped.
 */
export class StoreClient {
  readonly #world: World;
  readonly #node: number;
  readonly #process: Process;
  readonly #dirty = new Set<StoreKey>();
  readonly #onWatched: (key: StoreKey) => () => void;
  #watching = false;
  #arrival = 0;
  #failing = false;

  /** `read` takes a snapshot at the store and returns what delivers it. */
  constructor(world: World, node: number, process: Process, onWatched: (key: StoreKey) => () => void) {
    this.#world = world;
    this.#node = node;
    this.#process = process;
    this.#onWatched = onWatched;
  }

  /** Carries `operation` out at the store. Exactly one of the two is called, unless the process dies. */
  request<T>(operation: () => T, answered: (result: T) => void, unanswered: (happened: boolean) => void, transitMs = 0): void {
    const { scheduler, network, store, random, options } = this.#world;
    let happened = false;
    let over = false;
    const storeMs = random.between(0.2, 2) + (random.chance(options.storeSlowChance) ? random.between(50, 1500) : 0);
    scheduler.after(TIMEOUT_MS, this.#process, () => {
      if (over) return;
      over = true;
      unanswered(happened);
    });
    const lost = (): boolean => random.chance(options.storeLossChance);
    if (!network.passes(this.#node, this.#world.storeNode) || lost()) return;
    scheduler.after(network.delayMs() + storeMs + transitMs, null, () => {
      if (!store.available) return;
      const result = operation();
      happened = true;
      if (!network.passes(this.#world.storeNode, this.#node) || lost()) return;
      scheduler.after(network.delayMs(), this.#process, () => {
        if (over) return;
        over = true;
        answered(result);
      });
    });
  }

  /** `key` has changed, or may have. */
  changed(key: StoreKey): void {
    this.#dirty.add(key);
    this.#schedule(this.#world.random.between(0.2, 8));
  }

  #schedule(delayMs: number): void {
    if (this.#watching) return;
    this.#watching = true;
    const { scheduler, network, store } = this.#world;
    scheduler.after(delayMs, null, () => {
      this.#watching = false;
      if (!this.#process.alive) return;
      const reachable = store.available && network.joins(this.#node, this.#world.storeNode);
      if (!reachable) {
        this.#failing = true;
        return this.#schedule(RESUME_MS);
      }
      if (this.#failing) {
        this.#failing = false;
        for (const key of ['leader', 'members', 'history', 'identity'] as const) this.#dirty.add(key);
        if (store.wasToldToForget) this.#dirty.add('left');
      }
      for (const key of this.#dirty) {
        const deliver = this.#onWatched(key);
        this.#arrival = Math.max(this.#arrival, scheduler.now + network.delayMs());
        scheduler.at(this.#arrival, this.#process, deliver);
      }
      this.#dirty.clear();
    });
  }
}
