import { setTimeout as pause } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { type Impostor, startImpostor } from '#adapters/kubernetes/testing/impostor.ts';
import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import type { Condition } from '#domain/config/postgres-cluster-status.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import { runOperator } from '../operator.ts';

export const CLUSTERS = resourceTypeOf(POSTGRES_CLUSTER);
export const SETS = resourceTypeOf({ apiVersion: 'apps/v1', kind: 'StatefulSet' });
export const SECRETS = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });
export const SERVICES = resourceTypeOf({ apiVersion: 'v1', kind: 'Service' });

/** An API server begins within two seconds, and on a crowded machine within minutes. */
export const CROWDED_MS = 400_000;
const LOOK_EVERY_MS = 50;

/** A real API server that holds PostgresClusters, and operators that reach it through something that counts what they write. */
export class OperatorBench {
  readonly api: ApiServer;
  readonly client: KubeClient;
  readonly #front: Impostor;
  /** `METHOD path` of every request of an operator that may change something, but for events and its own Lease. */
  readonly writes: string[];
  /** What the operators warned of. */
  readonly warnings: string[] = [];

  private constructor(api: ApiServer, front: Impostor, writes: string[]) {
    this.api = api;
    this.client = api.client();
    this.#front = front;
    this.writes = writes;
  }

  static async start(): Promise<OperatorBench> {
    const api = await ApiServer.start();
    await api.define(postgresClusterCrd());
    const writes: string[] = [];
    const front = await startImpostor(api, ({ method = '', url = '' }, _response, forward) => {
      if (method !== 'GET' && !/\/(events|leases\/matriarch-operator)(\?|$)/.test(url)) writes.push(`${method} ${url}`);
      forward();
    });
    return new OperatorBench(api, front, writes);
  }

  async close(): Promise<void> {
    this.client.close();
    await this.#front.close();
    await this.api.remove();
  }

  /** Of one namespace; it ends with the test. */
  startOperator(namespace: string): { stop(): Promise<void> } {
    const ending = new AbortController();
    const ended = runOperator({
      access: this.api.access({ url: this.#front.url, namespace }),
      namespace,
      watch: namespace,
      image: 'localhost/matriarch:dev',
      listen: { host: '127.0.0.1', port: 0 },
      log: { info: () => {}, warn: (part, text) => void this.warnings.push(`${part}: ${text}`) },
      signal: ending.signal,
    });
    const stop = async () => {
      ending.abort();
      await ended;
    };
    onTestFinished(stop);
    return { stop };
  }

  async conditionOf(namespace: string, name: string, type: Condition['type']): Promise<Condition | undefined> {
    const found = await this.client.get(CLUSTERS, namespace, name);
    return ((found?.status ?? {}) as { conditions?: readonly Condition[] }).conditions?.find((one) => one.type === type);
  }

  async replicasOf(namespace: string, name: string): Promise<number | undefined> {
    return ((await this.client.get(SETS, namespace, name))?.spec as { replicas?: number } | undefined)?.replicas;
  }
}

export function cluster(name: string, spec: Readonly<Record<string, unknown>> = {}): KubeObject {
  return { apiVersion: POSTGRES_CLUSTER.apiVersion, kind: POSTGRES_CLUSTER.kind, metadata: { name }, spec };
}

export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await pause(LOOK_EVERY_MS);
}
