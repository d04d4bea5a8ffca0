import { afterAll, beforeAll } from 'vitest';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { PODS } from '../../kubernetes/resources.ts';
import { ApiServer } from '../../kubernetes/testing/api-server.ts';
import { describeStore } from '../conformance.ts';
import { Relay } from '../etcd/testing/relay.ts';
import { openKubernetesStore } from './kubernetes-store.ts';

let api: ApiServer;
beforeAll(async () => {
  api = await ApiServer.start();
});
afterAll(() => api.remove());

/** A cluster in a namespace of its own, behind a wire that can be cut. */
async function createStore(pods: boolean) {
  const relay = await Relay.start(api.url);
  const namespace = await api.createNamespace();
  if (pods) for (const name of ['n1', 'n2']) await createPod(namespace, name);
  const options = { cluster: 'suite', kubeconfig: api.writeKubeconfig({ url: relay.url, namespace }), pods, timeoutMs: 3000 };
  return {
    address: { module: new URL('./kubernetes-store.ts', import.meta.url).href, export: 'openKubernetesStore', options },
    open: () => openKubernetesStore(options),
    async makeUnavailable() {
      relay.refuses = true;
      relay.cut();
      return async () => {
        relay.refuses = false;
      };
    },
    remove: () => relay.close(),
  };
}

async function createPod(namespace: string, name: string): Promise<void> {
  const client = api.client();
  const labels = { [LABEL.cluster]: 'suite', [LABEL.component]: 'postgresql' };
  const spec = { containers: [{ name: 'postgresql', image: 'none' }] };
  await client.create(PODS, namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels }, spec });
  client.close();
}

describeStore('Kubernetes, with the members outside,', () => createStore(false));
describeStore('Kubernetes, with the members in pods,', () => createStore(true));
