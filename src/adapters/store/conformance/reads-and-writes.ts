import { describe, expect, test } from 'vitest';
import { absent, type StoreBench } from './store-bench.ts';

export function describeReadsAndWrites(bench: StoreBench): void {
  describe('reads and writes', () => {
    test('a key that was never written is absent', async () => {
      expect(await bench.store.get('leader')).toBeUndefined();
      expect(await bench.store.list('')).toEqual([]);
    });

    test('what was written is read, by another client too', async () => {
      const { version } = await bench.store.put('leader', { member: 'n1', text: 'ä😀', list: [1, null, true] });
      const expected = { value: { member: 'n1', text: 'ä😀', list: [1, null, true] }, version };
      expect(await bench.store.get('leader')).toEqual(expected);
      const other = await bench.subject.open();
      expect(await other.get('leader')).toEqual(expected);
      await other.close();
    });

    test('lists what begins with the prefix, by key', async () => {
      for (const key of ['members/n2', 'members/n1', 'members', 'memberz', 'members/😀']) await bench.store.put(key, key);
      expect((await bench.store.list('members/')).map(({ key }) => key)).toEqual(['members/n1', 'members/n2', 'members/😀']);
      expect((await bench.store.list('')).length).toBe(5);
    });

    test('a value too large is refused and changes nothing', async () => {
      await bench.store.put('config', 1);
      await expect(bench.store.put('config', 'x'.repeat(2_000_000))).rejects.toMatchObject({ code: 'store.tooLarge' });
      expect((await bench.store.get('config'))?.value).toBe(1);
    });

    test('versions of a key grow, also when it was deleted or has expired in between', async () => {
      const versions: number[] = [];
      for (let round = 0; round < 3; round++) {
        versions.push((await bench.store.put('request', round)).version);
        versions.push((await bench.store.put('request', round, { ttlMs: 20, durable: false })).version);
        await absent(bench.store, 'request');
        versions.push((await bench.store.put('request', round)).version);
        await bench.store.delete('request');
      }
      expect(versions).toEqual([...versions].sort((a, b) => a - b));
      expect(new Set(versions).size).toBe(versions.length);
    });
  });
}
