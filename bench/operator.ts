import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { type Impostor, startImpostor } from '#adapters/kubernetes/testing/impostor.ts';
import { readProcess } from '#adapters/process/processes.ts';
import { freePorts } from '#adapters/store/etcd/testing/free-ports.ts';
import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import type { OperatorChildOrder } from './operator/operator-child.ts';

interface OperatorBenchOptions {
  readonly clusters: number;
  readonly edits: number;
  /** The clusters that are not made by then are left out. */
  readonly makeSeconds: number;
  readonly restSeconds: number;
  readonly json: boolean;
}

const CHILD = join(import.meta.dirname, 'operator', 'operator-child.ts');
const CLUSTERS = resourceTypeOf(POSTGRES_CLUSTER);
const NAMESPACE = 'default';
const TICKS_PER_S = 100;
const SETTLE_MS = 1000;

interface Write {
  readonly at: number;
  readonly path: string;
}

/**
 * An operator in front of a real API server without pods: what a thousand clusters cost it. Its requests pass something that sees when it
 * writes; events and the renewals of its own Lease are not counted.
 */
export async function benchOperator(options: OperatorBenchOptions): Promise<void> {
  const api = await ApiServer.start();
  const writes: Write[] = [];
  const front = await startImpostor(api, ({ method = '', url = '' }, _response, forward) => {
    if (method !== 'GET' && !/\/(events|leases\/matriarch-operator)(\?|$)/.test(url))
      writes.push({ at: performance.now(), path: url.split('?')[0] ?? '' });
    forward();
  });
  const client = api.client({ timeoutMs: 60_000 });
  try {
    await api.define(postgresClusterCrd());
    const facts = await measure(options, { api, front, client, writes });
    process.stdout.write(options.json ? `${JSON.stringify(facts, null, 2)}\n` : render(facts));
  } finally {
    client.close();
    await front.close();
    await api.remove();
  }
}

interface Stage {
  readonly api: ApiServer;
  readonly front: Impostor;
  readonly client: KubeClient;
  readonly writes: Write[];
}

async function measure(
  { clusters, edits, makeSeconds, restSeconds }: OperatorBenchOptions,
  { api, front, client, writes }: Stage,
) {
  const kubeconfig = api.writeKubeconfig({ url: front.url, namespace: NAMESPACE });
  let operator = await Operator.start(kubeconfig);
  const began = performance.now();
  let made = 0;
  while (made < clusters && performance.now() - began < makeSeconds * 1000) {
    await make(client, made);
    made += 1;
    // The queue is kept short, so that what is made within the time is whole.
    if (made % 20 === 0) await operator.until('matriarch_operator_queue_depth', (depth) => depth < 20);
  }
  await settled(operator, writes);
  const makeMs = performance.now() - began;
  const before = { writes: writes.length, ticks: operator.ticks() };
  await sleep(restSeconds * 1000);
  const rest = { writes: writes.length - before.writes, cpu: (operator.ticks() - before.ticks) / TICKS_PER_S / restSeconds };
  const residentMb = operator.residentMb();
  const editMs: number[] = [];
  for (let edit = 0; edit < edits; edit++) editMs.push(await editOne(client, writes, Math.floor((edit * made) / edits)));
  // The last edit is done with: what is left of it would be the next one's.
  await settled(operator, writes);
  await operator.end();
  const restarted = performance.now();
  const from = writes.length;
  operator = await Operator.start(kubeconfig);
  await operator.until('matriarch_operator_reconcile_seconds_count', (count) => count >= made);
  const readyMs = performance.now() - restarted;
  const restartWrites = writes.slice(from).map(({ path }) => path);
  const afterRestartMb = operator.residentMb();
  await operator.end();
  return {
    clusters: made,
    makeMs,
    restSeconds,
    rest,
    residentMb,
    afterRestartMb,
    editMs: percentiles(editMs),
    readyMs,
    restartWrites,
  };
}

/** Nothing waits, and nothing was written for a moment. */
async function settled(operator: Operator, writes: readonly Write[]): Promise<void> {
  for (let before = -1; before !== writes.length; ) {
    before = writes.length;
    await sleep(SETTLE_MS);
    await operator.until('matriarch_operator_queue_depth', (depth) => depth <= 1);
  }
}

async function make(client: KubeClient, index: number): Promise<void> {
  const { apiVersion, kind } = POSTGRES_CLUSTER;
  const object = { apiVersion, kind, metadata: { name: `c${index}` }, spec: {} };
  await client.create(CLUSTERS, NAMESPACE, object);
}

/** From the answer to an edit until the operator's first write about that cluster reaches the server. */
async function editOne(client: KubeClient, writes: readonly Write[], index: number): Promise<number> {
  const name = `c${index}`;
  const from = writes.length;
  await client.patch(CLUSTERS, NAMESPACE, name, 'merge', {
    spec: { postgresql: { parameters: { work_mem: `${index + 5}MB` } } },
  });
  const at = performance.now();
  const about = new RegExp(`/${name}(-|/|$)`);
  for (;;) {
    const found = writes.slice(from).find(({ path }) => about.test(path));
    if (found !== undefined) return Math.max(0, found.at - at);
    await sleep(2);
  }
}

class Operator {
  readonly #child: ChildProcess;
  readonly #port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
  }

  static async start(kubeconfig: string): Promise<Operator> {
    const [port = 0] = await freePorts(1);
    const order: OperatorChildOrder = { kubeconfig, port };
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, JSON.stringify(order)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const operator = new Operator(child, port);
    await operator.until('matriarch_operator_leader', (leads) => leads === 1);
    return operator;
  }

  /** Until a number of its metrics is as wanted. */
  async until(metric: string, isRight: (value: number) => boolean): Promise<void> {
    for (;;) {
      if (this.#child.exitCode !== null) throw new Error(`the operator ended with ${this.#child.exitCode}`);
      const page = await fetch(`http://127.0.0.1:${this.#port}${OPERATOR.metricsPath}`).then(
        (answer) => answer.text(),
        () => '',
      );
      const value = new RegExp(`^${metric} (\\S+)$`, 'm').exec(page)?.[1];
      if (value !== undefined && isRight(Number(value))) return;
      await sleep(20);
    }
  }

  ticks(): number {
    return readProcess(this.#child.pid ?? 0)?.cpuTicks ?? 0;
  }

  residentMb(): number {
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'latin1'))?.[1];
    return Number(kilobytes) / 1024;
  }

  async end(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await exit;
  }
}

function percentiles(values: readonly number[]) {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), maximum: at(1) };
}

function render(facts: Awaited<ReturnType<typeof measure>>): string {
  const { clusters, makeMs, restSeconds, rest, residentMb, afterRestartMb, editMs, readyMs, restartWrites } = facts;
  return [
    `${clusters} clusters whose pods never run, made in ${(makeMs / 1000).toFixed(0)} s`,
    `resident: ${residentMb.toFixed(0)} MB, after a restart ${afterRestartMb.toFixed(0)} MB (≤ 512 MB)`,
    `over ${restSeconds} s without a change: ${rest.writes} writes (0), ${(100 * rest.cpu).toFixed(1)} % of a core`,
    `from an edit to the first write, of ${editMs.count}: p50 ${editMs.p50.toFixed(0)} ms, p99 ${editMs.p99.toFixed(0)} ms (≤ 1000 ms)`,
    `after a restart every cluster has been looked at within ${(readyMs / 1000).toFixed(1)} s, with ${restartWrites.length} writes (0) ${restartWrites.join(' ')}`,
    '',
  ].join('\n');
}
