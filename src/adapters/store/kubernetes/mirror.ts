import type { StoreChange } from '#domain/ports/store.ts';
import { type Cell, readCell, toVersioned } from './cells.ts';
import type { Sightings } from './sightings.ts';

interface Told {
  readonly cell: Cell;
  readonly text: string;
  /** It was told that it is there, and not that it is gone. */
  readonly stands: boolean;
}

/** What has been told of the keys of a cluster, by the object that holds them. */
export class Mirror {
  readonly #objects = new Map<string, Map<string, Told>>();
  readonly #sightings: Sightings;

  constructor(sightings: Sightings) {
    this.#sightings = sightings;
  }

  /** In the order in which they were written, as far as the versions of several objects tell. */
  entries(): readonly StoreChange[] {
    const standing = [...this.#objects.values()].flatMap((told) => [...told].filter(([, { stands }]) => stands));
    return inOrder(standing.map(([key, { cell }]) => ({ key, current: toVersioned(cell) })));
  }

  /** Takes over all objects of `kind`, each a name and its texts: others that were known are gone. */
  takeAll(
    kind: string,
    objects: ReadonlyMap<string, { readonly texts: ReadonlyMap<string, string>; readonly revision: number }>,
  ) {
    const names = [...this.#objects.keys()].filter((id) => id.startsWith(`${kind}/`)).map((id) => id.slice(kind.length + 1));
    const gone = names.filter((name) => !objects.has(name)).flatMap((name) => this.take(kind, name, new Map(), 0));
    return [...gone, ...inOrder([...objects].flatMap(([name, { texts, revision }]) => this.take(kind, name, texts, revision)))];
  }

  /** Takes over an object as it stands, and gives what differs from what was told: what is gone, then what is new. */
  take(kind: string, name: string, texts: ReadonlyMap<string, string>, revision: number): StoreChange[] {
    const id = `${kind}/${name}`;
    const before = this.#objects.get(id) ?? new Map<string, Told>();
    const after = new Map<string, Told>();
    const gone: StoreChange[] = [];
    const changed: StoreChange[] = [];
    for (const [key, { stands }] of before) {
      if (texts.has(key)) continue;
      this.#sightings.forget(key);
      if (stands) gone.push({ key, current: undefined });
    }
    for (const [key, text] of texts) {
      const known = before.get(key);
      if (known?.text === text) {
        after.set(key, known);
        continue;
      }
      const cell = readCell(text, revision);
      const stands = this.#sightings.leftMs(key, cell) > 0;
      after.set(key, { cell, text, stands });
      if (stands) changed.push({ key, current: toVersioned(cell) });
      else if (known?.stands) gone.push({ key, current: undefined });
    }
    if (after.size > 0) this.#objects.set(id, after);
    else this.#objects.delete(id);
    return [...gone, ...inOrder(changed)];
  }

  /** What has expired since it was told. */
  expire(): StoreChange[] {
    const gone: StoreChange[] = [];
    for (const told of this.#objects.values()) {
      for (const [key, entry] of told) {
        if (!entry.stands || this.#sightings.leftMs(key, entry.cell) > 0) continue;
        told.set(key, { ...entry, stands: false });
        gone.push({ key, current: undefined });
      }
    }
    return gone;
  }

  /** Until the next key expires; Infinity when none will. */
  nextExpiryMs(): number {
    let next = Infinity;
    for (const told of this.#objects.values())
      for (const [key, { cell, stands }] of told) if (stands) next = Math.min(next, this.#sightings.leftMs(key, cell));
    return next;
  }
}

function inOrder(changes: readonly StoreChange[]): StoreChange[] {
  return changes.toSorted((a, b) => (a.current?.version ?? 0) - (b.current?.version ?? 0));
}
