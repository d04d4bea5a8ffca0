import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Store, StoreChange } from '#domain/ports/store.ts';
import type { ChildAnswer, ChildOrder, ChildTask, StoreAddress } from './store-client.ts';

/** A store of its own for one test. */
export interface StoreUnderTest {
  readonly address: StoreAddress;
  open(): Promise<Store>;
  /** From when it resolves until the returned function resolves, the store answers nobody. */
  makeUnavailable(): Promise<() => Promise<void>>;
  remove(): Promise<void>;
}

export const WORKERS = 3;
const CLIENT = new URL('./store-client.ts', import.meta.url);

/** What the tests of the suite share: a store that is new for each of them, and clients of it in processes of their own. */
export class StoreBench {
  readonly #create: () => Promise<StoreUnderTest>;
  readonly #children: ChildProcess[] = [];
  readonly #watches = new Set<AbortController>();
  #current: { readonly subject: StoreUnderTest; readonly store: Store } | undefined;

  constructor(create: () => Promise<StoreUnderTest>) {
    this.#create = create;
  }

  get subject(): StoreUnderTest {
    return this.#open.subject;
  }

  get store(): Store {
    return this.#open.store;
  }

  async begin(): Promise<void> {
    const subject = await this.#create();
    this.#current = { subject, store: await subject.open() };
  }

  async end(): Promise<void> {
    for (const watch of this.#watches) watch.abort();
    this.#watches.clear();
    await Promise.all(this.#children.splice(0).map(kill));
    await this.store.close();
    await this.subject.remove();
  }

  async startChild(task: ChildTask): Promise<ChildProcess> {
    const child = fork(CLIENT, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#children.push(child);
    child.send({ address: this.subject.address, task } satisfies ChildOrder);
    await answer(child, 'ready');
    return child;
  }

  watchInto(changes: StoreChange[], prefix = ''): AbortController {
    const controller = new AbortController();
    this.#watches.add(controller);
    this.store.watch(prefix, (change) => changes.push(change), controller.signal);
    return controller;
  }

  get #open() {
    if (this.#current === undefined) throw new Error('no test has begun');
    return this.#current;
  }
}

export async function order(child: ChildProcess, until: 'done'): Promise<unknown> {
  const answered = answer(child, until);
  child.send('go');
  const message = await answered;
  return message.kind === 'done' ? message.result : undefined;
}

async function answer(child: ChildProcess, kind: ChildAnswer['kind']): Promise<ChildAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ChildAnswer>();
  const onMessage = (message: ChildAnswer) => message.kind === kind && resolve(message);
  const onExit = (code: number | null) => reject(new Error(`the child ended with ${code} before it was ${kind}`));
  child.on('message', onMessage);
  child.on('exit', onExit);
  try {
    return await promise;
  } finally {
    child.off('message', onMessage);
    child.off('exit', onExit);
  }
}

export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

export async function absent(store: Store, key: string): Promise<void> {
  while ((await store.get(key)) !== undefined);
}

/** The test's own time limit ends it. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

export async function eventually<Result>(call: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await call();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
