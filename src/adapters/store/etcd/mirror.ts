import type { StoredText } from './encoding.ts';
import type { Listing, Summary } from './listing.ts';
import type { WatchEvent } from './watch-frames.ts';

/** One key as it stands now; text null: it is gone. */
export interface MirrorChange {
  readonly key: string;
  readonly text: string | null;
  /** 0 for one that is gone. */
  readonly version: number;
}

/** What has been told of everything under the prefix, and up to which revision that is all there is. */
export class Mirror {
  readonly #entries = new Map<string, StoredText>();
  #clusterId: string | undefined;
  #revision = 0;

  get revision(): number {
    return this.#revision;
  }

  /** Undefined before the first listing. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  /** In the order in which they were written. */
  entries(): readonly StoredText[] {
    return [...this.#entries.values()].sort((a, b) => a.version - b.version);
  }

  /**
   * Takes over a listing and gives what differs: first what is gone, then what is new in the order in which it was written.
   * `askedAt`: the revision of the mirror when the listing was asked for. Nothing when the events have overtaken it. A listing
   * older than that is of an etcd that was restored from a copy, or of another one: what stands there now counts.
   */
  reconcile(listing: Listing, askedAt: number): MirrorChange[] {
    const isOther = this.#clusterId !== listing.clusterId || listing.revision < askedAt;
    if (!isOther && listing.revision < this.#revision) return [];
    const standing = new Map(listing.entries.map((entry) => [entry.key, entry]));
    const gone = [...this.#entries.keys()].filter((key) => !standing.has(key));
    const changed = listing.entries.filter((entry) => !isSame(this.#entries.get(entry.key), entry));
    this.#clusterId = listing.clusterId;
    this.#revision = listing.revision;
    for (const key of gone) this.#entries.delete(key);
    for (const entry of changed) this.#entries.set(entry.key, entry);
    return [...gone.map((key) => ({ key, text: null, version: 0 })), ...changed.toSorted((a, b) => a.version - b.version)];
  }

  /** Takes over one frame of the watch, which holds whole revisions. What a listing has told already is passed over. */
  apply(events: readonly WatchEvent[]): MirrorChange[] {
    const told = this.#revision;
    return events.flatMap((event): MirrorChange[] => {
      if (event.revision <= told) return [];
      this.#revision = Math.max(this.#revision, event.revision);
      const { key, text, revision } = event;
      if (text === null) return this.#entries.delete(key) ? [{ key, text, version: 0 }] : [];
      this.#entries.set(key, { key, text, version: revision });
      return [{ key, text, version: revision }];
    });
  }

  /** Is everything told that etcd knew when it gave `summary`? `askedAt` as above. */
  covers({ clusterId, revision, count, highest }: Summary, askedAt: number): boolean {
    if (clusterId !== this.#clusterId || revision < askedAt) return false;
    // Events come in order: one from behind it means that all up to it have come.
    if (this.#revision > revision) return true;
    return this.#entries.size === count && (this.entries().at(-1)?.version ?? 0) === highest;
  }
}

function isSame(known: StoredText | undefined, now: StoredText): boolean {
  return known?.version === now.version && known.text === now.text;
}
