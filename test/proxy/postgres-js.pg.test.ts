// postgres.js, which pipelines whatever it can, directly and through the proxy: what it sees is the same.
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Place, SideBySide } from '../support/side-by-side.ts';

let sides: SideBySide;
beforeAll(async () => {
  sides = await SideBySide.start();
});
afterAll(() => sides?.end());

async function withSql<T>(place: Place, use: (sql: postgres.Sql) => Promise<T>, max = 5): Promise<T> {
  const { host, port, user: username, password, database } = place;
  const sql = postgres({ host, port, username, password, database, max, onnotice: () => {} });
  try {
    return await use(sql);
  } finally {
    await sql.end();
  }
}

async function failure(work: PromiseLike<unknown>): Promise<string> {
  return Promise.resolve(work).then(
    () => 'none',
    (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
  );
}

const SCENARIOS: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  'hundreds of queries at once over few connections': (place) =>
    withSql(place, async (sql) => {
      await sql`CREATE TABLE t (n int, note text)`;
      await Promise.all(Array.from({ length: 300 }, (_, n) => sql`INSERT INTO t VALUES (${n}, ${`note ${n}`})`));
      const read = await Promise.all(Array.from({ length: 300 }, (_, n) => sql`SELECT note FROM t WHERE n = ${n}`));
      return read.map(([row]) => row?.note);
    }),
  'some of them fail in the middle': (place) =>
    withSql(
      place,
      async (sql) => {
        const each = Array.from({ length: 60 }, (_, n) => failure(sql`SELECT 10 / ${n % 4}::int AS tenth`));
        return Promise.all(each);
      },
      2,
    ),
  'transactions, nested and rolled back': (place) =>
    withSql(place, async (sql) => {
      await sql`CREATE TABLE t (n int UNIQUE)`;
      const failed = await failure(
        sql.begin(async (all) => {
          await all`INSERT INTO t VALUES (1)`;
          await all.savepoint((inner) => inner`INSERT INTO t VALUES (1)`).catch(() => {});
          await all`INSERT INTO t VALUES (2)`;
          await all.savepoint(async (inner) => inner`INSERT INTO t VALUES (3)`);
        }),
      );
      const undone = await failure(
        sql.begin(async (all) => {
          await all`INSERT INTO t VALUES (4)`;
          throw new Error('changed my mind');
        }),
      );
      return [failed, undone, [...(await sql`SELECT n FROM t ORDER BY n`)]];
    }),
  'a cursor': (place) =>
    withSql(place, async (sql) => {
      const sums: number[] = [];
      await sql`SELECT generate_series(1, 1000) AS n`.cursor(100, (rows) => {
        sums.push(rows.reduce((sum, row) => sum + row.n, 0));
      });
      return sums;
    }),
  'LISTEN and NOTIFY': (place) =>
    withSql(place, async (sql) => {
      const heard: string[] = [];
      const all = Promise.withResolvers<void>();
      const { unlisten } = await sql.listen('news', (payload) => {
        heard.push(payload);
        if (heard.length === 2) all.resolve();
      });
      await sql.notify('news', 'one');
      await sql.notify('news', 'two');
      await all.promise;
      await unlisten();
      return heard;
    }),
  'COPY by streams': (place) =>
    withSql(place, async (sql) => {
      await sql`CREATE TABLE t (n int)`;
      const lines = Array.from({ length: 20_000 }, (_, n) => `${n}\n`);
      await pipeline(Readable.from(lines), await sql`COPY t FROM STDIN`.writable());
      const out = await text(await sql`COPY (SELECT n FROM t ORDER BY n) TO STDOUT`.readable());
      return [out === lines.join(''), [...(await sql`SELECT count(*)::int FROM t`)]];
    }),
  'a query that is cancelled': (place) =>
    withSql(place, async (sql) => {
      const query = sql`SELECT pg_sleep(30)`;
      const ended = failure(query);
      const running = async () =>
        (
          await sides.server.sql(
            `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()`,
          )
        ).length > 0;
      while (!(await running())) await new Promise((resolve) => setImmediate(resolve));
      query.cancel();
      return [await ended, [...(await sql`SELECT 1 AS one`)]];
    }),
  'a reserved connection keeps its session': (place) =>
    withSql(place, async (sql) => {
      const own = await sql.reserve();
      await own`SET work_mem = '7777kB'`;
      await own`CREATE TEMP TABLE mine AS SELECT 1 AS a`;
      await Promise.all(Array.from({ length: 50 }, () => sql`SELECT 1`));
      const seen = [[...(await own`SHOW work_mem`)], [...(await own`SELECT * FROM mine`)]];
      own.release();
      return seen;
    }),
  'types, arrays and JSON': (place) =>
    withSql(place, async (sql) => {
      const [row] =
        await sql`SELECT ${sql.array([1, 2, 3], 1007)}::int[] AS a, ${sql.json({ x: [1, 'ü'] })} AS b, ${new Date(0)}::timestamptz AS c,
        ${Buffer.from([0, 1, 255])}::bytea AS d, ${'9007199254740993'}::int8 AS e, ${null}::text AS f`;
      return row;
    }),
};

test.each(Object.keys(SCENARIOS))('%s', async (name) => {
  const { direct, through } = await sides.both(SCENARIOS[name] as (place: Place) => Promise<unknown>);
  expect(through).toEqual(direct);
});
