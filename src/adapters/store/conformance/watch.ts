import { describe, expect, test } from 'vitest';
import type { StoreChange } from '#domain/ports/store.ts';
import { eventually, order, type StoreBench, until, WORKERS } from './store-bench.ts';

export function describeWatch(bench: StoreBench): void {
  describe('watch', () => {
    test('begins with what stands there, then tells what changes, in order', async () => {
      await bench.store.put('members/n1', 1);
      await bench.store.put('other', 1);
      const changes: StoreChange[] = [];
      bench.watchInto(changes, 'members/');
      await until(() => changes.length === 1);
      await bench.store.put('members/n2', 2);
      await until(() => changes.length === 2);
      await bench.store.put('other', 2);
      await bench.store.delete('members/n1');
      await until(() => changes.length === 3);
      expect(changes.map(({ key, current }) => [key, current?.value])).toEqual([
        ['members/n1', 1],
        ['members/n2', 2],
        ['members/n1', undefined],
      ]);
    });

    test('tells that a key has expired', async () => {
      const changes: StoreChange[] = [];
      bench.watchInto(changes);
      await bench.store.put('members/n1', 1, { ttlMs: 50 });
      await until(() => changes.length === 2);
      expect(changes.map(({ current }) => current?.value)).toEqual([1, undefined]);
    });

    test('misses no end value and repeats nothing, whoever writes', async () => {
      const changes: StoreChange[] = [];
      bench.watchInto(changes);
      const writers = await Promise.all(
        Array.from({ length: WORKERS }, (_, index) => bench.startChild({ kind: 'scribble', key: `k${index}`, writes: 60 })),
      );
      await Promise.all(writers.map((child) => order(child, 'done')));
      const standing = await bench.store.list('');
      const last = () => new Map(changes.map(({ key, current }) => [key, current?.version]));
      await until(() => standing.every(({ key, version }) => last().get(key) === version));
      expectNoRepeats(changes);
    });

    test('says nothing more once it is ended', async () => {
      const changes: StoreChange[] = [];
      const witness: StoreChange[] = [];
      const controller = bench.watchInto(changes);
      bench.watchInto(witness);
      await bench.store.put('a', 1);
      await until(() => changes.length === 1);
      controller.abort();
      await bench.store.put('a', 2);
      await until(() => witness.length === 2);
      expect(changes.length).toBe(1);
    });

    test('goes on by itself after the store was away, with what was missed and nothing twice', async () => {
      const changes: StoreChange[] = [];
      await bench.store.put('gone', 1);
      await bench.store.put('kept', 1);
      await bench.store.put('changed', 1);
      bench.watchInto(changes);
      await until(() => changes.length === 3);
      const makeAvailable = await bench.subject.makeUnavailable();
      await expect(bench.store.get('kept')).rejects.toMatchObject({ code: 'store.unavailable' });
      await makeAvailable();
      await eventually(() => bench.store.put('changed', 2));
      await bench.store.delete('gone');
      await until(() => changes.length >= 5);
      expect(changes.slice(3).map(({ key, current }) => [key, current?.value])).toEqual([
        ['changed', 2],
        ['gone', undefined],
      ]);
    });
  });
}

/** Versions only grow, and nothing goes that was not there. */
function expectNoRepeats(changes: readonly StoreChange[]): void {
  const seen = new Map<string, number>();
  let highest = 0;
  for (const { key, current } of changes) {
    if (current === undefined) {
      // Gone once: never again unless it was there in between.
      expect(seen.delete(key)).toBe(true);
    } else {
      expect(current.version).toBeGreaterThan(highest);
      highest = current.version;
      seen.set(key, current.version);
    }
  }
}
