import { expect, test } from 'vitest';
import { WorkQueue } from './work-queue.ts';

test('a key is never worked on twice at once, and what is said meanwhile leads to one more time', async () => {
  const gates: (() => void)[] = [];
  const begun: string[] = [];
  const queue = new WorkQueue({
    workers: 2,
    work: async (key) => {
      begun.push(key);
      await new Promise<void>((resolve) => gates.push(resolve));
      return null;
    },
    onFailure: () => {},
  });
  for (const key of ['a', 'a', 'b', 'c']) queue.add(key);
  expect(begun).toEqual(['a', 'b']);
  queue.add('a');
  queue.add('a');
  gates[0]?.();
  await until(() => begun.length === 3);
  gates[1]?.();
  await until(() => begun.length === 4);
  expect(begun.slice(2).sort()).toEqual(['a', 'c']);
  const closed = queue.close();
  for (const open of gates) open();
  await closed;
  expect(begun.length).toBe(4);
});

test('what fails is repeated, without holding up the others', async () => {
  let failures = 0;
  const done: string[] = [];
  const queue = new WorkQueue({
    workers: 1,
    work: async (key) => {
      if (key === 'bad' && failures < 2) throw new Error('not yet');
      done.push(key);
      return null;
    },
    onFailure: (_key, _error, count) => {
      failures = count;
    },
  });
  queue.add('bad');
  queue.add('good');
  await until(() => done.length === 2);
  expect(done).toEqual(['good', 'bad']);
  await queue.close();
});

test('a look that is due sooner counts, and saying something now overtakes it', async () => {
  const times: string[] = [];
  const work = async (key: string) => {
    times.push(key);
    return null;
  };
  const queue = new WorkQueue({ workers: 1, work, onFailure: () => {} });
  queue.addAfter('a', 3_600_000);
  queue.addAfter('a', 1);
  queue.addAfter('a', 3_600_000);
  await until(() => times.length === 1);
  queue.addAfter('b', 3_600_000);
  queue.add('b');
  await until(() => times.length === 2);
  expect(queue.depth).toBe(0);
  await queue.close();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
