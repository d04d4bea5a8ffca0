import { ApiServer } from '#adapters/kubernetes/testing/api-server.ts';
import { type Impostor, startImpostor } from '#adapters/kubernetes/testing/impostor.ts';
import type { Placement } from './test-cluster.ts';

/** A real API server as the store of a cluster, with a count of the requests that may change something. */
export class KubernetesStore {
  readonly api: ApiServer;
  readonly placement: Placement;
  readonly #front: Impostor;
  /** `METHOD path`, as they came. */
  readonly writes: readonly string[];

  private constructor(api: ApiServer, front: Impostor, writes: readonly string[], namespace: string) {
    this.api = api;
    this.#front = front;
    this.writes = writes;
    this.placement = {
      address: () => '127.0.0.1',
      prefix: () => [],
      store: { kind: 'kubernetes', kubeconfig: api.writeKubeconfig({ url: front.url, namespace }) },
      storeAway: () => Promise.reject(new Error('it stays')),
    };
  }

  static async start(): Promise<KubernetesStore> {
    const api = await ApiServer.start();
    const writes: string[] = [];
    const front = await startImpostor(api, ({ method = '', url = '' }, _response, forward) => {
      if (method !== 'GET') writes.push(`${method} ${url}`);
      forward();
    });
    return new KubernetesStore(api, front, writes, await api.createNamespace());
  }

  async close(): Promise<void> {
    await this.#front.close();
    await this.api.remove();
  }
}
