import { describe, expect, test } from 'vitest';
import { order, type StoreBench, WORKERS } from './store-bench.ts';

export function describeCompareAndSet(bench: StoreBench): void {
  describe('compare-and-set', () => {
    test('replaces exactly the version named', async () => {
      const { version } = await bench.store.put('leader', 'a');
      const swapped = await bench.store.compareAndSet('leader', version, 'b');
      expect(swapped.ok).toBe(true);
      expect(await bench.store.compareAndSet('leader', version, 'c')).toEqual({
        ok: false,
        current: await bench.store.get('leader'),
      });
      expect((await bench.store.get('leader'))?.value).toBe('b');
    });

    test('null creates and only creates', async () => {
      const created = await bench.store.compareAndSet('identity', null, 1);
      expect(created.ok).toBe(true);
      expect(await bench.store.compareAndSet('identity', null, 2)).toEqual({
        ok: false,
        current: await bench.store.get('identity'),
      });
    });

    test('a key that is gone has no version to be replaced', async () => {
      const { version } = await bench.store.put('leader', 'a');
      await bench.store.delete('leader');
      expect(await bench.store.compareAndSet('leader', version, 'b')).toEqual({ ok: false, current: undefined });
      expect((await bench.store.compareAndSet('leader', null, 'c')).ok).toBe(true);
    });

    test('counts every increment of several processes exactly once', async () => {
      const rounds = 40;
      const started = await Promise.all(
        Array.from({ length: WORKERS }, () => bench.startChild({ kind: 'increment', key: 'count', rounds })),
      );
      await Promise.all(started.map((child) => order(child, 'done')));
      expect((await bench.store.get('count'))?.value).toBe(WORKERS * rounds);
    });

    test('of several processes that create a key, one wins', async () => {
      const keys = Array.from({ length: 20 }, (_, index) => `claim/${index}`);
      const started = await Promise.all(Array.from({ length: WORKERS }, () => bench.startChild({ kind: 'create', keys })));
      const wins = (await Promise.all(started.map((child) => order(child, 'done')))).flatMap((won) => won as string[]);
      expect(wins.sort()).toEqual(keys.sort());
    });
  });
}
