import type { Cell } from './cells.ts';

/**
 * When this client has first seen each cell that expires, by its own monotonic clock: as with every Lease of Kubernetes, no two clocks
 * are ever compared. A cell that nobody renews is gone for each client so long after that.
 */
export class Sightings {
  readonly #seen = new Map<string, { readonly version: number; readonly at: number }>();

  /** Milliseconds that are left; 0 for a cell that has expired. */
  leftMs(key: string, { version, ttlMs }: Cell, now = performance.now()): number {
    if (ttlMs === undefined) {
      this.#seen.delete(key);
      return Infinity;
    }
    const known = this.#seen.get(key);
    const at = known?.version === version ? known.at : now;
    if (known?.version !== version) this.#seen.set(key, { version, at });
    return Math.max(0, at + ttlMs - now);
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
