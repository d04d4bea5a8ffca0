import { afterAll, beforeAll, expect, test } from 'vitest';
import { initdbSchema } from '#domain/config/initdb.ts';
import { streams, TestServers } from '../testing/test-cluster.ts';
import type { TestServer } from '../testing/test-server.ts';

let servers: TestServers;
beforeAll(async () => {
  servers = await TestServers.open();
});
afterAll(() => servers.end());

const MADE = `SELECT concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype, current_setting('data_checksums'),
  current_setting('wal_segment_size')) FROM pg_database WHERE datname = 'template1'`;

test('where nothing is said: UTF8, C.UTF-8, checksums and segments of 16 MB', async () => {
  const one = await servers.primary('plain');
  expect(await one.value(MADE)).toBe('UTF8 C.UTF-8 C.UTF-8 on 16MB');
});

test.each([64, 1])(
  'what is said, with segments of %i MB: the first server has it, its copies too, and agents that find them',
  async (mb) => {
    const initdb = initdbSchema.parse({ encoding: 'LATIN1', locale: 'C', dataChecksums: false, walSegmentSizeMb: mb });
    const [n1, n2] = [`a${mb}`, `b${mb}`];
    const parameters = mb === 64 ? { min_wal_size: '128MB' } : {};
    const one = await servers.primary(n1, { initdb, parameters });
    const [two] = (await servers.standbys(one, [n2], { parameters })) as [TestServer];
    for (const server of [one, two]) expect(await server.value(MADE)).toBe(`LATIN1 C C off ${mb}MB`);
    await one.restartAgent();
    expect((await one.seen('primary')).position.timeline).toBe(1);
    await one.do({ kind: 'stop', mode: 'fast' });
    await one.do({ kind: 'startPrimary' });
    await one.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
    await streams(two);
    await one.caughtUp(two);
  },
);

test('a server with large segments starts by the defaults', async () => {
  const one = await servers.add('c', { initdb: initdbSchema.parse({ walSegmentSizeMb: 128 }) });
  // Without the small log of tests.
  await one.server.updateParameters({ shared_buffers: '8MB', fsync: 'off' });
  await one.do({ kind: 'bootstrap' });
  expect(await one.value("SELECT current_setting('min_wal_size')")).toBe('256MB');
});

test('a locale that the machine does not have is named', async () => {
  const one = await servers.add('e', { initdb: initdbSchema.parse({ locale: 'xx_XX' }) });
  expect(await one.run({ kind: 'bootstrap' })).toMatchObject({ ok: false, why: expect.stringContaining('xx_XX') });
});
