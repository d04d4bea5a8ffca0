// What pins is shown while it does, ends when its reason ends, and leaves nothing behind when its client does.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PinReason } from '#core/pool/pins.ts';
import type { Proxy as RunningProxy } from '#programs/proxy/proxy.ts';
import { query } from '#wire/encode-frontend.ts';
import { type Answer, readAnswer } from '../soak/answers.ts';
import type { RawClient } from '../support/raw-client.ts';
import { SessionStage } from '../support/session-stage.ts';

let stage: SessionStage;
beforeAll(async () => {
  stage = await SessionStage.start();
});
afterAll(() => stage?.end());

async function ask(client: RawClient, text: string): Promise<Answer> {
  client.send(query(text));
  return readAnswer(await client.untilReady(), []);
}

async function value(client: RawClient, text: string): Promise<string | null | undefined> {
  const { rows, errors } = await ask(client, text);
  return errors.length > 0 ? errors.join() : rows[0]?.[0];
}

function pinned(proxy: RunningProxy): string[] {
  return [...proxy.stats().pools.values()].flatMap(({ pinned: reasons }) => [...reasons.keys()]);
}

async function withTwo(
  parameters: { readonly user?: string; readonly setup?: string },
  use: (a: RawClient, b: RawClient, proxy: RunningProxy) => Promise<void>,
): Promise<void> {
  const { user = 'app', setup = '' } = parameters;
  const proxy = await stage.proxy(1);
  const place = { port: proxy.port, database: await stage.database(setup) };
  const startup = { user, application_name: 'pins' };
  const [a, b] = [await stage.connect(place, startup), await stage.connect(place, startup)];
  try {
    await use(a, b, proxy);
  } finally {
    a.destroy();
    b.destroy();
    await proxy.stop();
  }
}

interface Pin {
  readonly begin: string;
  /** Null: it lasts as long as the session. */
  readonly end: string | null;
  readonly user?: string;
  readonly setup?: string;
}

const PINS: Partial<Record<PinReason, Pin>> = {
  temporary: { begin: 'CREATE TEMP TABLE t (a int)', end: 'DROP TABLE t' },
  locks: { begin: 'SELECT pg_advisory_lock(1)', end: 'SELECT pg_advisory_unlock_all()' },
  cursors: { begin: 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT', end: 'CLOSE c' },
  sequences: { begin: "SELECT nextval('s'), currval('s')", end: 'DISCARD ALL', setup: 'CREATE SEQUENCE s' },
  seed: { begin: 'SELECT setseed(0.5)', end: 'DISCARD ALL' },
  library: { begin: "LOAD 'auto_explain'", end: null, user: 'super' },
  unnamed: { begin: "SELECT set_config('a.' || 'b', 'x', false)", end: 'RESET ALL' },
  privileged: {
    begin: 'SELECT f()',
    end: 'RESET ALL',
    setup: `RESET ROLE; CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN SET log_statement = 'ddl'; END $$`,
  },
  backend: {
    begin: "SELECT pg_replication_origin_session_setup('an_origin')",
    end: null,
    user: 'super',
    setup: "RESET ROLE; SELECT pg_replication_origin_create('an_origin')",
  },
};

const IN_C = `CREATE FUNCTION f(text) RETURNS text LANGUAGE c STRICT AS '$libdir/fuzzystrmatch', 'soundex'`;
const PINS_IN_C: Partial<Record<PinReason, Pin>> = {
  library: { begin: IN_C, end: null, user: 'super' },
  backend: { begin: "SELECT f('x')", end: null, setup: `RESET ROLE; ${IN_C}` },
};

test.each([...Object.entries(PINS), ...Object.entries(PINS_IN_C)])('%s (%#)', async (reason, { begin, end, ...parameters }) => {
  await withTwo(parameters, async (a, b, proxy) => {
    expect((await ask(a, begin)).errors).toEqual([]);
    // Its answer comes behind what the proxy has asked.
    await ask(a, 'SELECT 1');
    expect(pinned(proxy)).toEqual([reason]);
    const waiting = value(b, 'SELECT 1');
    if (end === null) a.destroy();
    else await ask(a, end);
    expect(await waiting).toBe('1');
    expect(pinned(proxy)).toEqual([]);
    if (end !== null) expect(await value(a, 'SELECT 2')).toBe('2');
  });
});

test('a client that leaves while it is pinned leaves nothing', async () => {
  await withTwo({}, async (a, b, proxy) => {
    await ask(a, 'CREATE TEMP TABLE t (a int)');
    await ask(a, "SELECT pg_advisory_lock(2); SELECT setseed(0.1); SET work_mem = '3MB'; SET my.setting = 'x'; LISTEN news");
    await ask(a, 'PREPARE p AS SELECT 1');
    await ask(a, 'BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; COMMIT; SET ROLE worker');
    expect(pinned(proxy).toSorted()).toEqual(expect.arrayContaining(['locks', 'seed', 'temporary']));
    a.destroy();
    const seen = await ask(
      b,
      `SELECT current_user, current_setting('work_mem'), nullif(current_setting('my.setting', true), ''),
        (SELECT count(*) FROM pg_prepared_statements WHERE from_sql), (SELECT count(*) FROM pg_cursors WHERE is_holdable),
        (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_class WHERE relname = 't')`,
    );
    expect(seen.rows).toEqual([['app', '4MB', null, '0', '0', '0', '0']]);
    await ask(b, 'SELECT pg_advisory_lock(2)');
    expect(await value(b, 'SELECT pg_advisory_unlock(2)')).toBe('t');
    await ask(b, 'SELECT 1');
    expect(pinned(proxy)).toEqual([]);
  });
});

test('a client that leaves inside a transaction leaves nothing', async () => {
  await withTwo({}, async (a, b) => {
    await ask(a, "BEGIN; SET work_mem = '3MB'; SET ROLE worker; CREATE TEMP TABLE t (a int)");
    a.destroy();
    expect((await ask(b, "SELECT current_user, current_setting('work_mem')")).rows).toEqual([['app', '4MB']]);
    expect(await value(b, 'TABLE t')).toBe('42P01');
  });
});

test('a role that is gone is an error to the session that acts as it, and to no other', async () => {
  await stage.server.sql('CREATE ROLE leaving; GRANT leaving TO app');
  await withTwo({}, async (a, b) => {
    await ask(a, 'SET ROLE leaving');
    expect(await value(b, 'SELECT current_user')).toBe('app');
    await stage.server.sql('DROP ROLE leaving');
    expect(await value(a, 'SELECT current_user')).toBe('55000');
    expect(await value(b, 'SELECT current_user')).toBe('app');
    expect(await value(a, 'SELECT current_user')).toBe('55000');
    expect(await value(b, 'SELECT current_user')).toBe('app');
  });
});

test('what was made with rights that are gone is in nobody’s way', async () => {
  await withTwo({ user: 'super' }, async (a, b) => {
    await ask(a, "SET log_statement = 'all'; SET work_mem = '3MB'");
    expect(await value(b, 'SHOW log_statement')).toBe('none');
    await ask(a, 'SELECT 1');
    await stage.server.sql('ALTER ROLE super NOSUPERUSER');
    try {
      expect(await value(b, 'SHOW work_mem')).toBe('4MB');
      expect(await value(a, 'SHOW work_mem')).toBe('55000');
      expect(await value(b, 'SHOW log_statement')).toBe('none');
    } finally {
      await stage.server.sql('ALTER ROLE super SUPERUSER');
    }
  });
});
