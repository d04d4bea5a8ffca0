import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { StoreChange } from '#domain/ports/store.ts';
import { absent, type StoreBench, until } from './store-bench.ts';

const DAY_MS = 86_400_000;

export function describeExpiry(bench: StoreBench): void {
  describe('expiry', () => {
    test('a key disappears after its time, for reads, lists and compare-and-set', async () => {
      const { version } = await bench.store.put('members/n1', 1, { ttlMs: 30, durable: false });
      await bench.store.put('members/n2', 2);
      await absent(bench.store, 'members/n1');
      expect((await bench.store.list('members/')).map(({ key }) => key)).toEqual(['members/n2']);
      expect(await bench.store.compareAndSet('members/n1', version, 3)).toEqual({ ok: false, current: undefined });
      expect((await bench.store.compareAndSet('members/n1', null, 4)).ok).toBe(true);
    });

    test('the clock of a client that leaps expires nothing and prolongs nothing', async () => {
      onTestFinished(() => void vi.useRealTimers());
      for (const leapMs of [DAY_MS, -2 * DAY_MS]) {
        vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + leapMs });
        await bench.store.put('kept', leapMs, { ttlMs: 60_000 });
        await bench.store.put('gone', leapMs, { ttlMs: 30, durable: false });
        vi.setSystemTime(Date.now() - leapMs);
        await absent(bench.store, 'gone');
        expect((await bench.store.get('kept'))?.value).toBe(leapMs);
        vi.useRealTimers();
      }
    });

    test('writing again prolongs, and a write without a time keeps the key', async () => {
      const changes: StoreChange[] = [];
      await bench.store.put('a', 1, { ttlMs: 60 });
      await bench.store.put('a', 2, { ttlMs: 60_000 });
      await bench.store.put('b', 1, { ttlMs: 60 });
      await bench.store.put('b', 2);
      await bench.store.put('c', 1, { ttlMs: 60 });
      bench.watchInto(changes);
      // c was written last with the same time: when it is gone, the others have outlived theirs.
      await until(() => changes.some(({ key, current }) => key === 'c' && current === undefined));
      expect((await bench.store.list('')).map(({ key, value }) => [key, value])).toEqual([
        ['a', 2],
        ['b', 2],
      ]);
    });
  });
}
