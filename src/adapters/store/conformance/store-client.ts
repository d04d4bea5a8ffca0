import { once } from 'node:events';
import type { Store } from '#domain/ports/store.ts';

/** How a child process opens the store under test: `export` of `module`, called with `options`. */
export interface StoreAddress {
  readonly module: string;
  readonly export: string;
  readonly options: unknown;
}

export type ChildTask =
  /** Adds 1 to `key` by compare-and-set, `rounds` times. */
  | { readonly kind: 'increment'; readonly key: string; readonly rounds: number }
  /** Tries to create every key; the result is those that it created. */
  | { readonly kind: 'create'; readonly keys: readonly string[] }
  /** Writes and deletes one key again and again, and ends with a write. */
  | { readonly kind: 'scribble'; readonly key: string; readonly writes: number }
  /** Counts up in `key` for ever, telling each acknowledged number. */
  | { readonly kind: 'count'; readonly key: string; readonly other: string }
  | { readonly kind: 'readOnce'; readonly key: string };

export interface ChildOrder {
  readonly address: StoreAddress;
  readonly task: ChildTask;
}

export type ChildAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'acknowledged'; readonly value: number }
  | { readonly kind: 'done'; readonly result: unknown };

// A client in a process of its own, for the conformance suite: opens the store, says so, waits for the word, and does its task.
const [order] = (await once(process, 'message')) as [ChildOrder];
const imported = (await import(order.address.module)) as Record<string, (options: unknown) => Promise<Store>>;
const open = imported[order.address.export];
if (open === undefined) throw new Error(`${order.address.module} has no ${order.address.export}`);
const store = await open(order.address.options);
tell({ kind: 'ready' });
await once(process, 'message');
const result = await perform(store, order.task);
await store.close();
tell({ kind: 'done', result });
process.disconnect();

async function perform(store: Store, task: ChildTask): Promise<unknown> {
  switch (task.kind) {
    case 'increment':
      for (let done = 0; done < task.rounds; ) {
        const current = await store.get(task.key);
        const swapped = await store.compareAndSet(task.key, current?.version ?? null, Number(current?.value ?? 0) + 1, {
          durable: false,
        });
        if (swapped.ok) done += 1;
      }
      return undefined;
    case 'create': {
      const created: string[] = [];
      for (const key of task.keys) {
        if ((await store.compareAndSet(key, null, process.pid)).ok) created.push(key);
      }
      return created;
    }
    case 'scribble':
      for (let write = 0; write < task.writes; write++) {
        await store.put(task.key, write, { durable: false });
        if (write % 7 === 3) await store.delete(task.key);
      }
      await store.put(task.key, 'last');
      return undefined;
    case 'count':
      for (let value = 1; ; value++) {
        await store.put(task.key, value);
        tell({ kind: 'acknowledged', value });
        await store.put(task.other, 'x'.repeat(20_000), { durable: false });
      }
    case 'readOnce':
      return (await store.get(task.key))?.value;
  }
}

function tell(answer: ChildAnswer): void {
  process.send?.(answer);
}
