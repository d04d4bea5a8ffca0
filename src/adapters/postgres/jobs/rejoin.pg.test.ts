import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parseLsn } from '#domain/lsn.ts';
import type { Position } from '#domain/position.ts';
import { streams, TestServers } from '../testing/test-cluster.ts';
import { eventually, SECRETS, type TestServer } from '../testing/test-server.ts';

let servers: TestServers;
let old: TestServer;
let leader: TestServer;

beforeAll(async () => {
  servers = await TestServers.open();
});
beforeEach(async () => {
  old = await servers.primary('n1');
  [leader] = (await servers.standbys(old, ['n2'])) as [TestServer];
});
afterEach(async () => {
  await servers.remove(old);
  await servers.remove(leader);
});
afterAll(() => servers.end());

const rejoin = (kind: 'rewind' | 'clone') => old.run({ kind, upstream: leader.upstreamOf(old) });

/** The standby leads on timeline 2; the old primary went on writing without it. Returns what only the old one has. */
async function diverge(): Promise<{ readonly from: Position; readonly to: Position }> {
  await old.caughtUp(leader);
  const { log } = await leader.do({ kind: 'detach' });
  await old.sql("INSERT INTO t SELECT 'given up' FROM generate_series(1, 1000)");
  const end = parseLsn(await old.value('SELECT pg_current_wal_flush_lsn()')) ?? 0n;
  await old.do({ kind: 'stop', mode: 'kill' });
  await leader.do({ kind: 'promote', timeline: 2 });
  await leader.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
  await leader.sql("INSERT INTO t VALUES ('kept')");
  await leader.do({ kind: 'checkpoint' });
  await leader.do({ kind: 'slots', keep: [old.incarnation] });
  const from = log?.position ?? { timeline: 0, lsn: 0n };
  return { from, to: { timeline: 1, lsn: end } };
}

async function expectRejoined(): Promise<void> {
  expect((await old.observe()).state).toBe('stopped');
  await old.do({ kind: 'startStandby', upstream: leader.upstreamOf(old) });
  await streams(old);
  await leader.sql("INSERT INTO t VALUES ('streamed')");
  await leader.caughtUp(old);
  await eventually(async () => {
    expect(await old.value("SELECT string_agg(DISTINCT note, ', ' ORDER BY note) FROM t")).toBe('kept, streamed');
  });
  expect(await old.seen('standby')).toMatchObject({ position: { timeline: 2 }, streaming: true });
}

const tracesOfTools = () => readdirSync(old.layout.configDir).filter((name) => name.includes('pgpass'));

describe('A rewind', () => {
  test('gives up what diverged, says what that was, keeps it aside, and the server streams', async () => {
    const { from, to } = await diverge();
    const result = await rejoin('rewind');
    expect(result).toMatchObject({ ok: true, gaveUp: { from } });
    const gaveUp = result.ok ? result.gaveUp : undefined;
    // The end of the log is past the last commit by what the server wrote beside it.
    expect(gaveUp?.to.timeline).toBe(1);
    expect(gaveUp?.to.lsn).toBeGreaterThanOrEqual(to.lsn);
    const [folder = ''] = readdirSync(old.layout.divergedDir);
    const kept = readdirSync(join(old.layout.divergedDir, folder)).filter((name) => /^00000001[0-9A-F]{16}$/.test(name));
    const text = kept.map((name) => readFileSync(join(old.layout.divergedDir, folder, name), 'latin1')).join('');
    expect(text).toContain('given up');
    expect(tracesOfTools()).toEqual([]);
    await expectRejoined();
  });

  test('of a server that has nothing of its own changes nothing', async () => {
    await old.caughtUp(leader);
    await old.do({ kind: 'stop', mode: 'fast' });
    await leader.do({ kind: 'promote', timeline: 2 });
    await leader.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
    await leader.do({ kind: 'checkpoint' });
    await leader.do({ kind: 'slots', keep: [old.incarnation] });
    await leader.sql("INSERT INTO t VALUES ('kept')");
    expect(await rejoin('rewind')).toEqual({ ok: true });
    await expectRejoined();
  });

  test('that is interrupted leaves nothing that could be started', async () => {
    await diverge();
    const running = rejoin('rewind');
    await eventually(() => expect(existsSync(old.layout.rewindMarker)).toBe(true));
    await old.do({ kind: 'stop', mode: 'kill' });
    expect(await running).toMatchObject({ ok: false, code: 'cancelled' });
    expect(await old.observe()).toEqual({ state: 'absent' });
    await old.restartAgent();
    expect(await old.observe()).toEqual({ state: 'absent' });
    expect(await old.run({ kind: 'startPrimary' })).toMatchObject({ ok: false });
    expect(await rejoin('rewind')).toMatchObject({ ok: false, code: 'unusable' });
    await old.do({ kind: 'clone', upstream: leader.upstreamOf(old) });
    await expectRejoined();
  });

  test('against a server that is not there has changed nothing, and may be tried again', async () => {
    await diverge();
    await leader.do({ kind: 'stop', mode: 'fast' });
    expect(await rejoin('rewind')).toMatchObject({ ok: false, code: 'failed' });
    expect((await old.observe()).state).toBe('stopped');
    await leader.do({ kind: 'startPrimary' });
    await leader.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
    await old.do({ kind: 'rewind', upstream: leader.upstreamOf(old) });
    await expectRejoined();
  });

  test('without the WAL that it needs says that only a clone helps', async () => {
    await diverge();
    // The checkpoint before the fork is where it would have to begin.
    for (const name of readdirSync(old.layout.walDir)) {
      if (/^[0-9A-F]{24}$/.test(name))
        writeFileSync(join(old.layout.walDir, name), Buffer.alloc(statSync(join(old.layout.walDir, name)).size));
    }
    expect(await rejoin('rewind')).toMatchObject({ ok: false, code: 'unusable' });
    await old.do({ kind: 'clone', upstream: leader.upstreamOf(old) });
    await expectRejoined();
  });
});

describe('A clone', () => {
  test('tells how far it is, and replaces a server that stood elsewhere', async () => {
    await diverge();
    old.progress.length = 0;
    await old.do({ kind: 'clone', upstream: leader.upstreamOf(old) });
    expect(old.progress.join('\n')).toMatch(/\d+ of \d+ MB, \d+ MB\/s/);
    expect(existsSync(old.layout.newDataDir)).toBe(false);
    expect(existsSync(old.layout.oldDataDir)).toBe(false);
    expect(tracesOfTools()).toEqual([]);
    await expectRejoined();
  });

  test('that fails or is interrupted leaves the data that was there', async () => {
    const { to } = await diverge();
    await leader.do({ kind: 'gate', open: false, cut: true });
    const running = rejoin('clone');
    await eventually(() => expect(existsSync(join(old.layout.newDataDir, 'PG_VERSION'))).toBe(true));
    await old.do({ kind: 'stop', mode: 'kill' });
    expect(await running).toMatchObject({ ok: false, code: 'cancelled' });
    const view = await old.seen('stopped');
    expect(view.wasPrimary).toBe(true);
    expect(view.position.lsn).toBeGreaterThanOrEqual(to.lsn);
    await leader.do({ kind: 'stop', mode: 'fast' });
    expect(await rejoin('clone')).toMatchObject({ ok: false, code: 'failed' });
    expect((await old.seen('stopped')).position).toEqual(view.position);
    expect(existsSync(old.layout.newDataDir)).toBe(false);
  });
});

describe('While tools run', () => {
  test('no argument list and no environment holds a secret', async () => {
    await diverge();
    for (const kind of ['rewind', 'clone'] as const) {
      const seen = new Set<string>();
      let done = false;
      const running = rejoin(kind).finally(() => {
        done = true;
      });
      while (!done) {
        for (const line of commandLines()) seen.add(line);
        await new Promise(setImmediate);
      }
      expect(await running).toMatchObject({ ok: true });
      const text = [...seen].join('\n');
      expect(text).toContain(kind === 'rewind' ? 'pg_rewind' : 'pg_basebackup');
      for (const { password } of Object.values(SECRETS)) expect(text).not.toContain(password);
    }
    const said = [
      ...old.logged,
      ...old.progress,
      readFileSync(old.layout.logFile, 'utf8'),
      readFileSync(leader.layout.logFile, 'utf8'),
    ];
    for (const { password } of Object.values(SECRETS)) expect(said.join('\n')).not.toContain(password);
  });
});

/** Of what runs here: other tests, beside this one, may show theirs. */
function commandLines(): readonly string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      if (!readlinkSync(`/proc/${pid}/cwd`).startsWith(servers.folder)) return [];
      return [readFileSync(`/proc/${pid}/cmdline`, 'latin1') + readFileSync(`/proc/${pid}/environ`, 'latin1')];
    } catch {
      return [];
    }
  });
}
