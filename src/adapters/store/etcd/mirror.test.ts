import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StoredText } from './encoding.ts';
import type { Listing } from './listing.ts';
import { Mirror, type MirrorChange } from './mirror.ts';
import type { WatchEvent } from './watch-frames.ts';

const CLUSTER = '601';

/** What etcd holds after the first `revision` of some writes; each write is one revision. */
function listingAt(history: readonly WatchEvent[], revision: number, clusterId = CLUSTER): Listing {
  const entries = new Map<string, StoredText>();
  for (const { key, text, revision: version } of history.slice(0, revision)) {
    if (text === null) entries.delete(key);
    else entries.set(key, { key, text, version });
  }
  return { clusterId, revision, entries: [...entries.values()].sort((a, b) => (a.key < b.key ? -1 : 1)) };
}

/** A listener: what it believes to stand, from the changes alone. Fails on one that goes back, repeats, or removes what is not there. */
class Listener {
  readonly standing = new Map<string, MirrorChange>();

  hear(changes: readonly MirrorChange[]): void {
    for (const change of changes) {
      const known = this.standing.get(change.key);
      if (change.text === null) {
        expect(known).toBeDefined();
        this.standing.delete(change.key);
      } else {
        expect(change.version).toBeGreaterThan(known?.version ?? 0);
        this.standing.set(change.key, change);
      }
    }
  }
}

const histories = fc
  .array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), text: fc.option(fc.constantFrom('1', '2')) }), { maxLength: 30 })
  .map((writes) => writes.map((write, index): WatchEvent => ({ ...write, revision: index + 1 })));
/** A listing, or events from behind the mirror's revision up to there; each at some share of the history. */
const steps = fc.array(
  fc.record({ kind: fc.constantFrom('list', 'late list', 'events'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
);

describe('A mirror', () => {
  test('whatever listings and events it is given: nothing goes back, nothing twice, and in the end it is what stands there', () => {
    fc.assert(
      fc.property(histories, steps, (history, taken) => {
        const mirror = new Mirror();
        const listener = new Listener();
        const at = (share: number) => Math.round(share * history.length);
        listener.hear(mirror.reconcile(listingAt(history, 0), 0));
        for (const { kind, share } of taken) {
          const revision = Math.max(at(share), kind === 'late list' ? 0 : mirror.revision);
          // A late one was asked for before the events that have overtaken it.
          if (kind !== 'events')
            listener.hear(mirror.reconcile(listingAt(history, revision), Math.min(revision, mirror.revision)));
          else listener.hear(mirror.apply(history.slice(Math.max(0, mirror.revision - 2), revision)));
        }
        listener.hear(mirror.reconcile(listingAt(history, history.length), mirror.revision));
        const expected = listingAt(history, history.length).entries;
        expect([...listener.standing.values()].sort((a, b) => (a.key < b.key ? -1 : 1))).toEqual(expected);
        expect(mirror.entries()).toEqual([...expected].sort((a, b) => a.version - b.version));
      }),
    );
  });

  test('covers a summary exactly when nothing in it is untold', () => {
    fc.assert(
      fc.property(histories, fc.nat(30), fc.nat(30), (history, first, second) => {
        const [told, now] = [Math.min(first, second, history.length), Math.min(Math.max(first, second), history.length)];
        const mirror = new Mirror();
        mirror.reconcile(listingAt(history, told), 0);
        const { entries } = listingAt(history, now);
        const highest = Math.max(0, ...entries.map(({ version }) => version));
        const same = JSON.stringify(entries) === JSON.stringify(listingAt(history, told).entries);
        expect(mirror.covers({ clusterId: CLUSTER, revision: now, count: entries.length, highest }, told)).toBe(same);
      }),
    );
  });

  test('tells what is gone first, then what is new in the order in which it was written', () => {
    const mirror = new Mirror();
    const entry = (key: string, version: number) => ({ key, text: '1', version });
    mirror.reconcile({ clusterId: CLUSTER, revision: 3, entries: [entry('a', 1), entry('b', 2), entry('c', 3)] }, 0);
    const now = { clusterId: CLUSTER, revision: 9, entries: [entry('a', 9), entry('c', 3), entry('d', 8)] };
    expect(mirror.reconcile(now, 3).map(({ key, version }) => [key, version])).toEqual([
      ['b', 0],
      ['d', 8],
      ['a', 9],
    ]);
  });

  test('an etcd that was restored from a copy, or is another one: what stands there counts', () => {
    const mirror = new Mirror();
    const entry = (version: number, text: string) => ({ key: 'a', text, version });
    mirror.reconcile({ clusterId: CLUSTER, revision: 9, entries: [entry(9, 'new')] }, 0);
    const older = { clusterId: CLUSTER, revision: 5, entries: [entry(5, 'old')] };
    expect(mirror.covers({ clusterId: CLUSTER, revision: 5, count: 1, highest: 5 }, 9)).toBe(false);
    expect(mirror.reconcile(older, 9).map(({ text }) => text)).toEqual(['old']);
    // The same version of another cluster.
    expect(mirror.covers({ clusterId: '602', revision: 7, count: 1, highest: 5 }, 5)).toBe(false);
    const other = { clusterId: '602', revision: 5, entries: [entry(5, 'other')] };
    expect(mirror.reconcile(other, 5).map(({ text }) => text)).toEqual(['other']);
  });
});
