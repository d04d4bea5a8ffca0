import { afterEach, describe, expect, test } from 'vitest';
import type { Store, StoreChange } from '#domain/ports/store.ts';
import { eventually, until } from '../conformance/store-bench.ts';
import { openEtcdStore } from './etcd-store.ts';
import { EtcdCluster } from './testing/etcd-cluster.ts';
import { Relay } from './testing/relay.ts';

const PREFIX = '/matriarch/faults/';
/** For writes that nobody repeats: a machine under load may take a second to sync one. */
const PATIENT_MS = 3000;
const UNAVAILABLE = { code: 'store.unavailable' };

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

async function startEtcd(members: number): Promise<EtcdCluster> {
  const etcd = await EtcdCluster.start({ members });
  endings.push(() => etcd.remove());
  return etcd;
}

async function openAt(endpoints: readonly string[], timeoutMs?: number): Promise<Store> {
  const store = await openEtcdStore({ endpoints, prefix: PREFIX, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  endings.push(() => store.close());
  return store;
}

/** The endpoints, that of one member first. */
function firstOf(etcd: EtcdCluster, member: number): string[] {
  return [...etcd.endpoints.slice(member), ...etcd.endpoints.slice(0, member)];
}

async function relayTo(url: string): Promise<Relay> {
  const relay = await Relay.start(url);
  endings.push(() => relay.close());
  return relay;
}

function watchAll(store: Store): StoreChange[] {
  const changes: StoreChange[] = [];
  const controller = new AbortController();
  endings.push(() => controller.abort());
  store.watch('', (change) => changes.push(change), controller.signal);
  return changes;
}

const told = (changes: readonly StoreChange[]) => changes.map(({ key, current }) => [key, current?.value]);

describe('Three members of etcd', () => {
  test('one is killed: reads and writes go on, and so does a watch', async () => {
    const etcd = await startEtcd(3);
    const victim = ((await etcd.leader()) + 1) % 3;
    const store = await openAt(firstOf(etcd, victim), PATIENT_MS);
    await store.put('a', 1);
    const changes = watchAll(store);
    await until(() => changes.length === 1);
    await etcd.member(victim).kill();
    expect((await store.get('a'))?.value).toBe(1);
    await store.put('a', 2);
    await until(() => changes.length === 2);
    expect(told(changes)).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
  });

  test('one is stopped: the next read goes elsewhere within its time, and the write behind it too', async () => {
    const etcd = await startEtcd(3);
    const victim = ((await etcd.leader()) + 1) % 3;
    const store = await openAt(firstOf(etcd, victim), PATIENT_MS);
    const { version } = await store.put('a', 1);
    const changes = watchAll(store);
    await until(() => changes.length === 1);
    await etcd.member(victim).stop();
    expect(await store.get('a')).toEqual({ value: 1, version });
    expect(await store.compareAndSet('a', version, 2)).toMatchObject({ ok: true });
    await until(() => changes.length === 2);
    etcd.member(victim).continue();
    await store.put('a', 3);
    await until(() => changes.length === 3);
    expect(told(changes).map(([, value]) => value)).toEqual([1, 2, 3]);
  });

  test('one is stopped and a write is the first to meet it: nothing is known about that one, and the next is done', async () => {
    const etcd = await startEtcd(3);
    const victim = ((await etcd.leader()) + 1) % 3;
    const store = await openAt(firstOf(etcd, victim), PATIENT_MS);
    await store.put('a', 1);
    await etcd.member(victim).stop();
    await expect(store.put('a', 2)).rejects.toMatchObject(UNAVAILABLE);
    await store.put('a', 3);
    expect((await store.get('a'))?.value).toBe(3);
  });

  test('the leader is killed: another one leads, and everything acknowledged is there', async () => {
    const etcd = await startEtcd(3);
    const store = await openAt(etcd.endpoints);
    const changes = watchAll(store);
    const { version } = await store.put('a', 1);
    await until(() => changes.length === 1);
    await etcd.member(await etcd.leader()).kill();
    expect(await eventually(() => store.get('a'))).toEqual({ value: 1, version });
    await eventually(() => store.compareAndSet('a', version, 2));
    await until(() => changes.at(-1)?.current?.value === 2);
    expect(told(changes)).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
  });

  test('a member without a majority is passed over, and its watch moves', async () => {
    const etcd = await startEtcd(3);
    const store = await openAt(etcd.endpoints);
    await store.put('a', 1);
    const changes = watchAll(store);
    await until(() => changes.length === 1);
    await Promise.all([etcd.member(1).kill(), etcd.member(2).kill()]);
    await expect(store.get('a')).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put('a', 2)).rejects.toMatchObject(UNAVAILABLE);
    await Promise.all([etcd.member(1).start(), etcd.member(2).start()]);
    const now = await eventually(() => store.get('a'));
    await eventually(() => store.compareAndSet('a', now?.version ?? null, 3));
    await until(() => changes.at(-1)?.current?.value === 3);
  });

  test('all are restarted one by one under increments: each that was acknowledged counts once, and a watch never goes back', async () => {
    const etcd = await startEtcd(3);
    const watching = await openAt(etcd.endpoints);
    const changes = watchAll(watching);
    const rolling = { done: false };
    const workers = [0, 1, 2].map(async (worker) => {
      const store = await openAt(firstOf(etcd, worker));
      return countUp(store, `w${worker}`, rolling);
    });
    const heard = () => (changes.at(-1)?.current?.value as Counts | undefined)?.total ?? 0;
    for (const member of etcd.members) {
      const before = heard();
      await until(() => heard() > before + 10);
      await member.restart(member === etcd.member(1) ? 'SIGTERM' : 'SIGKILL');
    }
    rolling.done = true;
    const counted = await Promise.all(workers);
    const final = await eventually(() => watching.get('count'));
    const value = final?.value as Counts;
    expect(value).toEqual({ total: counted.reduce((sum, n) => sum + n, 0), w0: counted[0], w1: counted[1], w2: counted[2] });
    expect(Math.min(...counted)).toBeGreaterThan(0);
    await until(() => changes.at(-1)?.current?.version === final?.version);
    const versions = changes.map(({ current }) => current?.version ?? 0);
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
    const totals = changes.map(({ current }) => (current?.value as Counts | undefined)?.total ?? 0);
    // The stream skips nothing while it can go on where it was, and nothing was compacted here.
    expect(totals).toEqual(totals.map((_, index) => (totals[0] ?? 0) + index));
  });

  test('all are killed and started again: the data is there, and a watch tells what happens next', async () => {
    const etcd = await startEtcd(3);
    const store = await openAt(etcd.endpoints);
    const { version } = await store.put('a', 1);
    const changes = watchAll(store);
    await until(() => changes.length === 1);
    await etcd.killAll();
    await expect(store.get('a')).rejects.toMatchObject(UNAVAILABLE);
    await etcd.startAll();
    expect(await eventually(() => store.get('a'))).toEqual({ value: 1, version });
    await eventually(() => store.compareAndSet('a', version, 2));
    await until(() => changes.length === 2);
    expect(told(changes)).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
  });
});

test('Endpoints of two clusters of etcd: the first that answered is the store', async () => {
  const [first, second] = [await startEtcd(1), await startEtcd(1)];
  const store = await openAt([...first.endpoints, ...second.endpoints]);
  await store.put('a', 1);
  await first.killAll();
  await expect(store.get('a')).rejects.toThrow(/another cluster of etcd/);
  await first.startAll();
  expect((await eventually(() => store.get('a')))?.value).toBe(1);
});

type Counts = Readonly<Record<string, number>>;

/** Adds 1 by compare-and-set until `rolling` is done; gives how many were acknowledged, or found to have been done. */
async function countUp(store: Store, worker: string, rolling: { readonly done: boolean }): Promise<number> {
  let mine = 0;
  while (!rolling.done || mine === 0) {
    const found = await eventually(() => store.get('count'));
    const counts = (found?.value ?? {}) as Counts;
    // An attempt of which nothing was known has happened after all.
    if ((counts[worker] ?? 0) > mine) {
      mine += 1;
      continue;
    }
    const next = { ...counts, total: (counts.total ?? 0) + 1, [worker]: mine + 1 };
    const outcome = await store.compareAndSet('count', found?.version ?? null, next).catch(() => undefined);
    if (outcome?.ok === true) mine += 1;
  }
  // The last attempt may have been one of those.
  const last = await eventually(() => store.get('count'));
  return (last?.value as Counts | undefined)?.[worker] ?? 0;
}

describe('A network between', () => {
  test('compaction while a watch is cut off: it hears what differs, deletions too', async () => {
    const etcd = await startEtcd(1);
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    const [store, other] = [await openAt([relay.url]), await openAt(etcd.endpoints)];
    await other.put('gone', 1);
    await other.put('kept', 1);
    await other.put('changed', 1);
    const changes = watchAll(store);
    await until(() => changes.length === 3);
    relay.refuses = true;
    relay.cut();
    await other.delete('gone');
    await other.put('changed', 2);
    const { version } = await other.put('new', 1);
    await etcd.call('kv/compaction', { revision: String(version), physical: true });
    relay.refuses = false;
    await until(() => changes.length === 6);
    await other.put('kept', 2);
    await until(() => changes.length === 7);
    expect(told(changes.slice(3))).toEqual([
      ['gone', undefined],
      ['changed', 2],
      ['new', 1],
      ['kept', 2],
    ]);
  });

  test('a watch whose connection goes dead without a word goes on elsewhere', async () => {
    const etcd = await startEtcd(1);
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    const store = await openAt([relay.url, ...etcd.endpoints]);
    const other = await openAt(etcd.endpoints);
    const changes = watchAll(store);
    await store.put('a', 1);
    await until(() => changes.length === 1);
    // Once by the stream, so that there is one to go dead.
    await store.put('a', 2);
    await until(() => changes.length === 2);
    relay.swallows = true;
    await other.put('a', 3);
    await other.put('a', 4);
    await until(() => changes.at(-1)?.current?.value === 4);
    const values = told(changes).map(([, value]) => value as number);
    expect(values).toEqual([...new Set(values)].sort());
  });

  test('a connection that goes dead: the next read is answered by another endpoint, and the write behind it', async () => {
    const etcd = await startEtcd(1);
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    const store = await openAt([relay.url, ...etcd.endpoints]);
    await store.put('a', 1);
    relay.swallows = true;
    expect((await store.get('a'))?.value).toBe(1);
    await store.put('a', 2);
    expect((await store.get('a'))?.value).toBe(2);
  });

  test('slow answers are waited for', async () => {
    const etcd = await startEtcd(1);
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    relay.delayMs = 300;
    const store = await openAt([relay.url]);
    const changes = watchAll(store);
    const { version } = await store.put('a', 1);
    expect(await store.get('a')).toEqual({ value: 1, version });
    expect(await store.compareAndSet('a', version, 2)).toMatchObject({ ok: true });
    expect((await store.list('')).length).toBe(1);
    await store.delete('a');
    await until(() => changes.at(-1)?.current === undefined && changes.length > 0);
  });

  test('a handshake and an answer that take longer together than a call may: the next call finds the handshake done', async () => {
    const etcd = await EtcdCluster.start({ tls: { clients: false } });
    endings.push(() => etcd.remove());
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    relay.delayMs = 300;
    const { caFile = '' } = etcd.clientFiles ?? {};
    const store = await openEtcdStore({ endpoints: [relay.url], prefix: PREFIX, timeoutMs: 500, caFile });
    endings.push(() => store.close());
    await expect(store.get('a')).rejects.toMatchObject(UNAVAILABLE);
    expect(await eventually(() => store.get('a'))).toBeUndefined();
  });

  test('answers slower than the time of a call: it rejects, and later ones work', async () => {
    const etcd = await startEtcd(1);
    const relay = await relayTo(etcd.endpoints[0] ?? '');
    const store = await openAt([relay.url], 400);
    await store.put('a', 1);
    relay.delayMs = 60_000;
    await expect(store.get('a')).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put('a', 2)).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.list('')).rejects.toMatchObject(UNAVAILABLE);
    relay.delayMs = 0;
    // The write did happen: the answer alone was late.
    expect((await eventually(() => store.get('a')))?.value).toBe(2);
  });
});
