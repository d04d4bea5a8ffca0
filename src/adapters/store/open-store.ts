import type { MemberConfig } from '#domain/config/member-config.ts';
import type { Store } from '#domain/ports/store.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';

/** Opens the store that the configuration of a member names. Errors: those of the adapter. */
export async function openStore({ store, cluster }: Pick<MemberConfig, 'store' | 'cluster'>): Promise<Store> {
  switch (store.kind) {
    case 'sqlite':
      return openSqliteStore({ file: store.file });
    case 'etcd': {
      // Only where it is used: agents beside an embedded store do not pay for its memory.
      const { openEtcdStore } = await import('./etcd/etcd-store.ts');
      return openEtcdStore({ ...store, prefix: store.prefix ?? `/matriarch/${cluster}/` });
    }
    case 'kubernetes': {
      const { openKubernetesStore } = await import('./kubernetes/kubernetes-store.ts');
      return openKubernetesStore({ ...store, cluster });
    }
  }
}
