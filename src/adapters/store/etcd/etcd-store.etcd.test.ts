import { afterAll, beforeAll } from 'vitest';
import { describeStore } from '../conformance.ts';
import { openEtcdStore } from './etcd-store.ts';
import { EtcdCluster } from './testing/etcd-cluster.ts';

let etcd: EtcdCluster;
let prefixes = 0;
beforeAll(async () => {
  etcd = await EtcdCluster.start();
});
afterAll(() => etcd.remove());

describeStore('etcd', async () => {
  prefixes += 1;
  const options = { endpoints: etcd.endpoints, prefix: `/matriarch/suite-${prefixes}/`, timeoutMs: 1000 };
  return {
    address: { module: new URL('./etcd-store.ts', import.meta.url).href, export: 'openEtcdStore', options },
    open: () => openEtcdStore(options),
    async makeUnavailable() {
      await etcd.member(0).kill();
      return () => etcd.member(0).start();
    },
    async remove() {},
  };
});
