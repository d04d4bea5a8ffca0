import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LABEL } from '#domain/kubernetes/labels.ts';
import type { Store, StoreChange } from '#domain/ports/store.ts';
import { CONFIG_MAPS, LEASES, PODS } from '../../kubernetes/resources.ts';
import { ApiServer } from '../../kubernetes/testing/api-server.ts';
import { startImpostor } from '../../kubernetes/testing/impostor.ts';
import { eventually, until } from '../conformance/store-bench.ts';
import { Relay } from '../etcd/testing/relay.ts';
import { openKubernetesStore } from './kubernetes-store.ts';

const UNAVAILABLE = { code: 'store.unavailable' };
const CLUSTER = 'main';
/** A kube-apiserver begins within two seconds, and on a crowded machine within minutes. */
const RESTART_MS = 400_000;

let api: ApiServer;
beforeAll(async () => {
  api = await ApiServer.start();
});
afterAll(() => api.remove());

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

interface Where {
  readonly namespace: string;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly pods?: boolean;
  readonly timeoutMs?: number;
}

async function openAt({ namespace, url, tokenFile, ...options }: Where): Promise<Store> {
  const where = { namespace, ...(url === undefined ? {} : { url }), ...(tokenFile === undefined ? {} : { tokenFile }) };
  const store = await openKubernetesStore({ cluster: CLUSTER, kubeconfig: api.writeKubeconfig(where), ...options });
  endings.push(() => store.close());
  return store;
}

async function relay(): Promise<Relay> {
  const started = await Relay.start(api.url);
  endings.push(() => started.close());
  return started;
}

function watchAll(store: Store): StoreChange[] {
  const changes: StoreChange[] = [];
  const controller = new AbortController();
  endings.push(() => controller.abort());
  store.watch('', (change) => changes.push(change), controller.signal);
  return changes;
}

const told = (changes: readonly StoreChange[]) => changes.map(({ key, current }) => [key, current?.value]);

function admin() {
  const client = api.client();
  endings.push(() => client.close());
  return client;
}

async function createPod(namespace: string, name: string, cluster = CLUSTER): Promise<void> {
  const labels = { [LABEL.cluster]: cluster, [LABEL.component]: 'postgresql' };
  const spec = { terminationGracePeriodSeconds: 0, containers: [{ name: 'postgresql', image: 'none' }] };
  await admin().create(PODS, namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec });
}

describe('What stands in Kubernetes', () => {
  test('the leader is in a Lease that people can read, and goes without it', async () => {
    const namespace = await api.createNamespace();
    const store = await openAt({ namespace });
    const { version } = await store.put('leader', { member: 'main-1', epoch: 7 });
    const lease = await admin().get(LEASES, namespace, 'main-leader');
    const renewTime = expect.stringMatching(/\.\d{6}Z$/);
    expect(lease?.spec).toMatchObject({ holderIdentity: 'main-1', leaseTransitions: 7, renewTime });
    await store.delete('leader');
    expect(await store.get('leader')).toBeUndefined();
    expect((await store.compareAndSet('leader', version, 1)).ok).toBe(false);
    expect((await store.compareAndSet('leader', null, { member: 'main-2', epoch: 8 })).ok).toBe(true);
  });

  test('versions grow, though somebody deletes the objects', async () => {
    const namespace = await api.createNamespace();
    const store = await openAt({ namespace });
    for (const [key, type, name] of [
      ['leader', LEASES, 'main-leader'],
      ['identity', CONFIG_MAPS, 'main-records'],
    ] as const) {
      const before = await store.put(key, 1);
      await admin().delete(type, namespace, name);
      expect(await store.get(key)).toBeUndefined();
      expect((await store.put(key, 2)).version).toBeGreaterThan(before.version);
    }
  });

  test('a pod that is removed takes its member along; one of another cluster is none', async () => {
    const namespace = await api.createNamespace();
    for (const name of ['main-0', 'main-1']) await createPod(namespace, name);
    await createPod(namespace, 'other-0', 'other');
    const store = await openAt({ namespace, pods: true });
    const changes = watchAll(store);
    await store.put('members/main-0', 1);
    const { version } = await store.put('members/main-1', 2);
    await expect(store.put('members/other-0', 3)).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put('members/main-9', 3)).rejects.toMatchObject(UNAVAILABLE);
    await admin().delete(PODS, namespace, 'main-1');
    await until(() => changes.length === 3);
    expect(told(changes)).toEqual([
      ['members/main-0', 1],
      ['members/main-1', 2],
      ['members/main-1', undefined],
    ]);
    await createPod(namespace, 'main-1');
    expect((await store.put('members/main-1', 4)).version).toBeGreaterThan(version);
    expect((await store.list('members/')).map(({ key }) => key)).toEqual(['members/main-0', 'members/main-1']);
  });

  test('whoever else writes into the same object disturbs no compare-and-set', async () => {
    const namespace = await api.createNamespace();
    const store = await openAt({ namespace });
    const { version } = await store.put('identity', 'mine');
    await admin().patch(CONFIG_MAPS, namespace, 'main-records', 'merge', { metadata: { labels: { touched: 'yes' } } });
    await store.put('history/0000000001', 'other');
    expect(await store.get('identity')).toEqual({ value: 'mine', version });
    expect((await store.compareAndSet('identity', version, 'still mine')).ok).toBe(true);
  });

  test('rubbish that somebody wrote by hand is there, and can be replaced', async () => {
    const namespace = await api.createNamespace();
    const store = await openAt({ namespace });
    await store.put('identity', 1);
    await admin().patch(CONFIG_MAPS, namespace, 'main-records', 'merge', { data: { identity: 'mine!', 'No-Key_': 'x' } });
    const found = await store.get('identity');
    expect(found).toMatchObject({ value: undefined });
    expect((await store.compareAndSet('identity', found?.version ?? 0, 2)).ok).toBe(true);
    expect((await store.list('')).map(({ key, value }) => [key, value])).toEqual([['identity', 2]]);
  });
});

describe('An API server that fails', () => {
  test(
    'killed and back: calls are refused meanwhile, and a watch misses nothing and repeats nothing',
    async () => {
      const namespace = await api.createNamespace();
      const store = await openAt({ namespace, timeoutMs: 1000 });
      await store.put('leader', 1);
      const changes = watchAll(store);
      await until(() => changes.length === 1);
      await api.kill();
      await expect(store.get('leader')).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.put('leader', 2)).rejects.toMatchObject(UNAVAILABLE);
      await api.start();
      await eventually(() => store.put('leader', 3));
      await until(() => changes.at(-1)?.current?.value === 3);
      expect(new Set(changes.map(({ current }) => current?.version)).size).toBe(changes.length);
    },
    RESTART_MS,
  );

  test(
    'the version that a watch would go on from is forgotten: everything is listed again',
    async () => {
      const namespace = await api.createNamespace();
      const near = await relay();
      const store = await openAt({ namespace, url: near.url, timeoutMs: 1000 });
      const other = await openAt({ namespace });
      await store.put('gone', 1);
      await store.put('kept', 1);
      const changes = watchAll(store);
      await until(() => changes.length === 2);
      near.refuses = true;
      near.cut();
      await other.put('kept', 2);
      await other.delete('gone');
      // A new server remembers nothing from before its start.
      await api.kill();
      await api.start();
      await eventually(() => other.put('new', 1));
      near.refuses = false;
      await until(() => changes.length >= 5);
      expect(new Map(told(changes) as [string, unknown][])).toEqual(
        new Map([
          ['gone', undefined],
          ['kept', 2],
          ['new', 1],
        ]),
      );
      expect(changes.length).toBe(5);
    },
    RESTART_MS,
  );

  test('connections that are cut again and again: what is acknowledged stands, and the last word is heard', async () => {
    const namespace = await api.createNamespace();
    const near = await relay();
    const store = await openAt({ namespace, url: near.url, timeoutMs: 3000 });
    const changes = watchAll(store);
    let acknowledged = 0;
    for (let value = 1; value <= 30; value++) {
      if (value % 5 === 0) near.cut();
      const done = await store.put('config', value).then(
        () => true,
        () => false,
      );
      if (done) acknowledged = value;
    }
    await eventually(() => store.put('config', 'last'));
    await until(() => changes.at(-1)?.current?.value === 'last');
    expect(acknowledged).toBeGreaterThan(0);
  });

  test('one that says nothing: calls end in their time, and later ones find it again', async () => {
    const namespace = await api.createNamespace();
    const near = await relay();
    const store = await openAt({ namespace, url: near.url, timeoutMs: 500 });
    await eventually(() => store.put('leader', 1));
    near.swallows = true;
    await expect(store.get('leader')).rejects.toMatchObject(UNAVAILABLE);
    await expect(store.put('leader', 2)).rejects.toMatchObject(UNAVAILABLE);
    near.swallows = false;
    near.cut();
    expect((await eventually(() => store.get('leader')))?.value).toBeDefined();
  });

  test('a slow one is waited for', async () => {
    const namespace = await api.createNamespace();
    const near = await relay();
    const store = await openAt({ namespace, url: near.url, timeoutMs: 30_000 });
    near.delayMs = 150;
    const { version } = await store.put('leader', 1);
    expect((await store.compareAndSet('leader', version, 2)).ok).toBe(true);
    expect((await store.get('leader'))?.value).toBe(2);
  });

  test('a storm of conflicts: each write comes through, on what stands at its moment', async () => {
    const namespace = await api.createNamespace();
    const store = await openAt({ namespace, timeoutMs: 30_000 });
    const others = await Promise.all(Array.from({ length: 4 }, () => openAt({ namespace, timeoutMs: 30_000 })));
    const { version } = await store.put('identity', 'first');
    const writers = others.flatMap((other, index) => Array.from({ length: 10 }, (_, round) => other.put(`k${index}`, round)));
    // Renewals of other keys: this one has not changed.
    expect((await store.compareAndSet('identity', version, 'second')).ok).toBe(true);
    await Promise.all(writers);
    expect((await store.list('')).length).toBe(5);
  });

  test('a token that has expired is read again from its file', async () => {
    const namespace = await api.createNamespace();
    const tokenFile = join(api.folder, `token-${namespace}`);
    await writeFile(tokenFile, await api.issueToken(namespace, 'member', -60));
    const store = await openAt({ namespace, tokenFile, timeoutMs: 3000 });
    await expect(store.get('leader')).rejects.toMatchObject({
      code: 'store.denied',
      message: expect.stringContaining('nauthorized'),
    });
    await writeFile(tokenFile, await api.issueToken(namespace, 'member', 3600));
    // It is known now, and may nothing yet.
    await expect(store.get('leader')).rejects.toMatchObject({
      code: 'store.denied',
      message: expect.stringContaining('forbidden'),
    });
    await api.allowEverything(namespace, 'member');
    await eventually(() => store.put('leader', 1));
    expect((await store.get('leader'))?.value).toBe(1);
  });
});

describe('What answers in the place of an API server', () => {
  test.each(['html', 'truncated', 'empty object', 'nothing', 'endless', 'a list without a version'] as const)(
    '%s: no answer is made of it',
    async (kind) => {
      const impostor = await startImpostor(api, (_request, response) => impostorAnswers[kind](response));
      endings.push(() => impostor.close());
      const store = await openAt({ namespace: 'default', url: impostor.url, timeoutMs: 700 });
      const changes = watchAll(store);
      await expect(store.get('leader')).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.list('')).rejects.toMatchObject(UNAVAILABLE);
      await expect(store.put('leader', 1)).rejects.toMatchObject(UNAVAILABLE);
      expect(changes).toEqual([]);
    },
  );

  test('429 with Retry-After: it is left alone for so long, then the write comes through', async () => {
    const namespace = await api.createNamespace();
    const attempts: number[] = [];
    const impostor = await startImpostor(api, (request, response, forward) => {
      if (request.method === 'GET' || attempts.length >= 2) return forward();
      attempts.push(performance.now());
      response.writeHead(429, { 'retry-after': '1' }).end('{"kind":"Status","message":"too many requests"}');
    });
    endings.push(() => impostor.close());
    const store = await openAt({ namespace, url: impostor.url, timeoutMs: 20_000 });
    await store.put('leader', 1);
    const [first = 0, second = 0] = attempts;
    expect(second - first).toBeGreaterThanOrEqual(1000);
    expect((await store.get('leader'))?.value).toBe(1);
  });

  test('a 5xx: reads are asked again, and of a write nothing is known', async () => {
    const namespace = await api.createNamespace();
    let failing = 3;
    const impostor = await startImpostor(api, (_request, response, forward) => {
      if (failing === 0) return forward();
      failing -= 1;
      response.writeHead(503).end('{"kind":"Status","message":"etcdserver: no leader"}');
    });
    endings.push(() => impostor.close());
    const store = await openAt({ namespace, url: impostor.url, timeoutMs: 20_000 });
    expect(await store.get('leader')).toBeUndefined();
    failing = 0;
    await store.put('leader', 1);
    const writes: string[] = [];
    const other = await startImpostor(api, (request, response, forward) => {
      if (request.method === 'GET') return forward();
      writes.push(request.method ?? '');
      response.writeHead(500).end('{"kind":"Status","message":"etcdserver: request timed out"}');
    });
    endings.push(() => other.close());
    const unlucky = await openAt({ namespace, url: other.url, timeoutMs: 20_000 });
    await expect(unlucky.put('leader', 2)).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringContaining('timed out'),
    });
    expect(writes).toEqual(['PATCH']);
  });

  test('a certificate of another authority: nothing is sent to it', async () => {
    const other = await ApiServer.certificate();
    const asked: string[] = [];
    const impostor = await startImpostor({ ...other, url: api.url }, (request, response) => {
      asked.push(request.url ?? '');
      response.end('{}');
    });
    endings.push(() => impostor.close());
    const store = await openAt({ namespace: 'default', url: impostor.url, timeoutMs: 30_000 });
    await expect(store.get('leader')).rejects.toMatchObject({ code: 'store.untrusted' });
    expect(asked).toEqual([]);
  });
});

const impostorAnswers = {
  html: (response) => void response.end('<html><body>It works!</body></html>'),
  truncated: (response) => void response.end('{"kind":"Lease","metadata":{"resourceVersion":"1"'),
  'empty object': (response) => void response.end('{}'),
  nothing: () => {},
  endless: (response) => pour(response),
  'a list without a version': (response) => void response.end('{"kind":"List","metadata":{"resourceVersion":"many"},"items":[]}'),
} as const satisfies Record<string, (response: import('node:http').ServerResponse) => void>;

function pour(response: import('node:http').ServerResponse): void {
  const chunk = Buffer.alloc(65_536, ' ');
  while (!response.destroyed) if (!response.write(chunk)) return void response.once('drain', () => pour(response));
}
