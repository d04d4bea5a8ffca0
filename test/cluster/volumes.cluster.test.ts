import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { chooseServerUser } from '#adapters/process/server-user.ts';
import { DEFAULT_INITDB } from '#domain/config/initdb.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { faultUnderWrites, underWrites } from '../support/fault-run.ts';
import { FAULTS } from '../support/faults.ts';
import { TestCluster } from '../support/test-cluster.ts';

// Members that have their write-ahead log on a volume of its own, and a first server that was made otherwise than usual.

const volume = mkdtempSync(join(tmpdir(), 'matriarch-wal-'));
let cluster: TestCluster;

beforeAll(async () => {
  mkdirSync(join(volume, 'lost+found'));
  chmodSync(volume, 0o755);
  const user = await chooseServerUser();
  if (user !== null) chownSync(volume, user.uid, user.gid);
  cluster = await TestCluster.start({
    prepare: async (paths, { members }) => {
      for (const { name } of members) {
        const file = paths.member(name).config;
        const config = parse(await readFile(file, 'utf8')) as MemberConfig;
        await writeFile(file, stringify({ ...config, walDir: volume, initdb: { ...DEFAULT_INITDB, walSegmentSizeMb: 4 } }));
      }
    },
  });
}, 90_000);
afterEach(() => cluster.startMissingAgents());
afterAll(async () => {
  await cluster?.destroy();
  rmSync(volume, { recursive: true, force: true });
});

/** Where the log of a member is, which is the only one of that member. */
function logOf(name: string): string {
  const folder = readlinkSync(join(cluster.paths.member(name).data, 'pg_wal'));
  const own = join(volume, `test.${name}`);
  expect(dirname(folder)).toBe(own);
  expect(readdirSync(own)).toHaveLength(1);
  return folder;
}

it('every member has its own folder there, in which its canary writes, and beside its data too', async () => {
  await cluster.healthy();
  expect(await cluster.sql('show wal_segment_size')).toEqual([{ wal_segment_size: '4MB' }]);
  expect(new Set(cluster.names.map(logOf)).size).toBe(cluster.names.length);
  await cluster.until(
    'the files of the canaries',
    async () =>
      cluster.names
        .flatMap((name) => [logOf(name), cluster.paths.member(name).run])
        .every((folder) => existsSync(join(folder, 'matriarch.canary'))) || undefined,
    30_000,
  );
});

it('a primary that is lost comes back with the log that it had, and nothing is missing', async () => {
  const leader = await cluster.healthy();
  const before = logOf(leader);
  const run = await faultUnderWrites(cluster, FAULTS.killMember);
  expect(run.after).not.toBe(leader);
  await cluster.healthy();
  expect(logOf(leader)).toBe(before);
});

it('a standby that is cloned anew has another log, and the one before is gone', async () => {
  const [standby = ''] = cluster.standbys(await cluster.healthy());
  const before = logOf(standby);
  await underWrites(cluster, async () => {
    await cluster.post(standby, '/reinit');
    await cluster.until('another log', async () => (existsSync(before) ? undefined : true), 60_000);
    await cluster.healthy();
  });
  expect(logOf(standby)).not.toBe(before);
});
