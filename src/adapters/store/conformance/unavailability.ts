import { describe, expect, test } from 'vitest';
import { eventually, type StoreBench } from './store-bench.ts';

export function describeUnavailability(bench: StoreBench): void {
  describe('unavailability', () => {
    test('rejects every call, and answers again when it is back', async () => {
      const { version } = await bench.store.put('leader', 'before');
      const makeAvailable = await bench.subject.makeUnavailable();
      const unavailable = { code: 'store.unavailable' };
      await expect(bench.store.get('leader')).rejects.toMatchObject(unavailable);
      await expect(bench.store.list('')).rejects.toMatchObject(unavailable);
      await expect(bench.store.put('leader', 'during')).rejects.toMatchObject(unavailable);
      await expect(bench.store.compareAndSet('leader', version, 'during')).rejects.toMatchObject(unavailable);
      await expect(bench.store.delete('leader')).rejects.toMatchObject(unavailable);
      await makeAvailable();
      await eventually(() => bench.store.get('leader'));
      // A rejected write may have happened; the next one is judged on what stands there.
      const now = await bench.store.get('leader');
      expect((await bench.store.compareAndSet('leader', now?.version ?? null, 'after')).ok).toBe(true);
    });

    test('a call that was given up rejects with the reason, and a later one works', async () => {
      const given = new Error('given up');
      const signal = AbortSignal.abort(given);
      await expect(bench.store.get('a', { signal })).rejects.toBe(given);
      await expect(bench.store.put('a', 1, { signal })).rejects.toBe(given);
      await expect(bench.store.delete('a', { signal })).rejects.toBe(given);
      expect(await bench.store.get('a')).toBeUndefined();
      const controller = new AbortController();
      const pending = bench.store.put('a', 2, { signal: controller.signal });
      controller.abort(given);
      await expect(pending).rejects.toBe(given);
      await bench.store.put('b', 3);
      expect((await bench.store.get('b'))?.value).toBe(3);
      // The one that was given up is on its way: it may happen now, later or never, but nothing else than it.
      expect([undefined, 2]).toContain((await bench.store.get('a'))?.value);
    });

    test('after its end every call rejects', async () => {
      const other = await bench.subject.open();
      await other.close();
      await expect(other.get('a')).rejects.toMatchObject({ code: 'store.unavailable' });
    });
  });
}
