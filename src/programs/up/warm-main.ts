// Loads what an agent loads, so that the compiled code lies on disk when the agents start. A process that has to take the types out of
// its sources itself keeps the parser for that in memory for the rest of its life, half as much again as it needs.
import { mkdtemp, rm } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '#adapters/store/etcd/etcd-store.ts';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import '#programs/agent/agent.ts';
import '#programs/agent/agent-log.ts';
import '#programs/config-check/config-checker.ts';

// The store's worker is a file of its own, loaded by its thread.
const folder = await mkdtemp(join(tmpdir(), 'matriarch-warm-'));
try {
  await (await openSqliteStore({ file: join(folder, 'store.db') })).close();
} finally {
  await rm(folder, { recursive: true });
}
flushCompileCache();
