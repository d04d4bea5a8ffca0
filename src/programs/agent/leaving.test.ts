import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import type { Store } from '#domain/ports/store.ts';
import { stayMember } from './leaving.ts';

let folder: string;
let store: Store;
let running: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-leaving-'));
  store = await openSqliteStore({ file: join(folder, 'store.db') });
  running = new AbortController();
});
afterEach(async () => {
  running.abort();
  await store.close();
  await rm(folder, { recursive: true });
});

const left = async () => (await store.list('left/')).map(({ key }) => key);

test('a member that runs takes back what was said of it, before its start and after, and of nobody else', async () => {
  await store.put('left/n1', {});
  await store.put('left/n10', {});
  stayMember(store, 'n1', running.signal);
  await vi.waitFor(async () => expect(await left()).toEqual(['left/n10']), 3000);
  await store.put('left/n1', {});
  await vi.waitFor(async () => expect(await left()).toEqual(['left/n10']), 3000);
});
