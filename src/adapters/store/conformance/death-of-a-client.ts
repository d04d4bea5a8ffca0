import { describe, expect, test } from 'vitest';
import { kill, order, type StoreBench, until } from './store-bench.ts';
import type { ChildAnswer } from './store-client.ts';

export function describeDeathOfAClient(bench: StoreBench): void {
  describe('death of a client', () => {
    test('killed while it writes, it loses nothing that was acknowledged and blocks nobody', async () => {
      for (let round = 0; round < 8; round++) {
        const child = await bench.startChild({ kind: 'count', key: `counted/${round}`, other: `filler/${round}` });
        const acknowledged = { last: 0 };
        child.on('message', (message: ChildAnswer) => {
          if (message.kind === 'acknowledged') acknowledged.last = message.value;
        });
        child.send('go');
        await until(() => acknowledged.last >= 5 + round * 3);
        await kill(child);
        const value = Number((await bench.store.get(`counted/${round}`))?.value);
        expect(value).toBeGreaterThanOrEqual(acknowledged.last);
        await bench.store.put('survivor', round);
      }
      expect((await bench.store.list('counted/')).length).toBe(8);
    });

    test('stopped for a while between its calls, it reads the newest value when it goes on', async () => {
      const child = await bench.startChild({ kind: 'readOnce', key: 'leader' });
      await bench.store.put('leader', 'old');
      child.kill('SIGSTOP');
      await bench.store.put('leader', 'new');
      child.kill('SIGCONT');
      expect(await order(child, 'done')).toBe('new');
    });
  });
}
