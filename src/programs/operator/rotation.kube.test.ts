import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { PODS } from '#adapters/kubernetes/resources.ts';
import { certificatesOf } from '#adapters/tls/check-identity.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { CLUSTERS, CROWDED_MS, cluster, OperatorBench, SECRETS, until } from './testing/operator-bench.ts';
import { StandingInAgent } from './testing/standing-in-agent.ts';

let bench: OperatorBench;
beforeAll(async () => {
  bench = await OperatorBench.start();
}, CROWDED_MS);
afterAll(() => bench?.close());

async function secret(namespace: string, name: string): Promise<Readonly<Record<string, string>>> {
  const found = await bench.client.get(SECRETS, namespace, name);
  const data = (found?.data ?? {}) as Readonly<Record<string, string>>;
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]));
}

async function filesOf(namespace: string) {
  const data = await secret(namespace, 'main-member-tls');
  return { ca: data['ca.crt'] ?? '', certificate: data['main-0.crt'] ?? '', key: data['main-0.key'] ?? '' };
}

async function createPod(namespace: string, podIP: string): Promise<void> {
  const labels = { [LABEL.cluster]: 'main', [LABEL.component]: 'postgresql' };
  const spec = { containers: [{ name: 'postgresql', image: 'none' }] };
  await bench.client.create(PODS, namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'main-0', labels }, spec });
  const status = { phase: 'Running', podIP, conditions: [{ type: 'Ready', status: 'True' }] };
  await bench.client.patch(PODS, namespace, 'main-0', 'merge', { status }, { subresource: 'status' });
}

/** The stage has lasted as long as proxies may need, and the operator looks again. */
async function age(namespace: string): Promise<void> {
  const since = Buffer.from('0').toString('base64');
  await bench.client.patch(SECRETS, namespace, 'main-authority', 'merge', { data: { since } });
  await bench.client.patch(PODS, namespace, 'main-0', 'merge', { metadata: { annotations: { looked: String(Math.random()) } } });
}

test(
  'a new authority comes in stages: nobody is asked to trust what it has not heard of, and none is skipped',
  async () => {
    const namespace = await bench.api.createNamespace();
    bench.startOperator(namespace);
    await bench.client.create(CLUSTERS, namespace, cluster('main', { instances: 1 }));
    await until(async () => (await filesOf(namespace)).key !== '');
    const host = `127.${process.pid % 250}.${Math.floor(process.pid / 250) % 250}.7`;
    const before = await filesOf(namespace);
    const agent = await StandingInAgent.start('main-0', host, before);
    onTestFinished(() => agent.close());
    await createPod(namespace, host);
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Ready'))?.status === 'True');

    const stage = async () => (await secret(namespace, 'main-authority')).stage;
    await bench.client.patch(CLUSTERS, namespace, 'main', 'merge', { spec: { tls: { rotation: 1 } } });
    await until(async () => certificatesOf((await filesOf(namespace)).ca).length === 2);
    const trusting = await filesOf(namespace);
    expect(await stage()).toBe('trust');
    expect(trusting.certificate).toBe(before.certificate);

    // The member has not taken the files: however long that lasts, nothing goes on.
    await age(namespace);
    await until(
      async () => (await bench.conditionOf(namespace, 'main', 'Progressing'))?.message.includes('main-0 to use') === true,
    );
    expect(await stage()).toBe('trust');

    agent.use(trusting);
    await age(namespace);
    await until(async () => (await filesOf(namespace)).certificate !== before.certificate);
    expect(await stage()).toBe('issue');
    const issued = await filesOf(namespace);
    expect(issued.ca).toBe(trusting.ca);

    agent.use(issued);
    await age(namespace);
    await until(async () => certificatesOf((await filesOf(namespace)).ca).length === 1);
    const alone = await filesOf(namespace);
    expect([alone.ca === before.ca, alone.certificate]).toEqual([false, issued.certificate]);

    agent.use(alone);
    await age(namespace);
    await until(async () => (await stage()) === undefined);
    const ended = await secret(namespace, 'main-authority');
    expect([ended['ca.crt'], ended.rotation, ended['next-ca.key']]).toEqual([alone.ca, '1', undefined]);
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Ready'))?.status === 'True');
  },
  CROWDED_MS,
);

/** A cluster whose authority is gone, and whose resource asks for it. */
async function withoutAuthority() {
  const namespace = await bench.api.createNamespace();
  const first = bench.startOperator(namespace);
  await bench.client.create(CLUSTERS, namespace, cluster('main'));
  await until(async () => (await bench.replicasOf(namespace, 'main')) === 3);
  await first.stop();
  const [files, authority] = [await filesOf(namespace), await bench.client.get(SECRETS, namespace, 'main-authority')];
  await bench.client.delete(SECRETS, namespace, 'main-authority');
  bench.startOperator(namespace);
  await until(async () => (await bench.conditionOf(namespace, 'main', 'Progressing'))?.reason === 'Failed');
  const message = (await bench.conditionOf(namespace, 'main', 'Progressing'))?.message;
  return { namespace, files, authority, message };
}

test(
  'a lost authority is not drawn anew: the resource says what to do, and what is there stays',
  async () => {
    const { namespace, files, authority, message } = await withoutAuthority();
    expect(message).toContain('main-authority is missing');
    expect(await filesOf(namespace)).toEqual(files);

    const { resourceVersion: _, uid: __, ...metadata } = authority?.metadata ?? { name: '' };
    await bench.client.create(SECRETS, namespace, { ...authority, apiVersion: 'v1', kind: 'Secret', metadata });
    await bench.client.patch(CLUSTERS, namespace, 'main', 'merge', { metadata: { annotations: { mended: 'yes' } } });
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Progressing'))?.reason === 'Waiting');
  },
  CROWDED_MS,
);

test(
  'it is made anew with all that hangs on it when somebody does as he is told',
  async () => {
    const { namespace, message } = await withoutAuthority();
    expect(message).toContain('delete main-member-tls and main-proxy-tls');
    for (const name of ['main-member-tls', 'main-proxy-tls']) await bench.client.delete(SECRETS, namespace, name);
    await until(async () => (await bench.client.get(SECRETS, namespace, 'main-proxy-tls')) !== undefined);
    expect(await bench.client.get(SECRETS, namespace, 'main-authority')).toBeDefined();
    await until(async () => (await bench.conditionOf(namespace, 'main', 'Progressing'))?.reason !== 'Failed');
  },
  CROWDED_MS,
);
