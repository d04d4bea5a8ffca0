import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import type { Store } from '#domain/ports/store.ts';
import { openSqliteStore } from './sqlite/sqlite-store.ts';

/** Opens the store that the configuration of a member names. Errors: those of the adapter. */
export async function openStore({ store }: Pick<MemberConfig, 'store' | 'cluster'>): Promise<Store> {
  switch (store.kind) {
    case 'sqlite':
      return openSqliteStore({ file: store.file });
    case 'etcd':
      return fail('internal.bug', 'not built yet');
  }
}
