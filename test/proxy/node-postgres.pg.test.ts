// node-postgres as an application uses it, directly and through the proxy: what it sees is the same.
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Place, SideBySide } from '../support/side-by-side.ts';

let sides: SideBySide;
beforeAll(async () => {
  sides = await SideBySide.start();
});
afterAll(() => sides?.end());

async function withPool<T>(place: Place, use: (pool: pg.Pool) => Promise<T>, max = 10): Promise<T> {
  const { host, port, user, password, database } = place;
  const pool = new pg.Pool({ host, port, user, password, database, max, application_name: 'an application' });
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}

async function withClient<T>(place: Place, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const { host, port, user, password, database } = place;
  const client = new pg.Client({ host, port, user, password, database });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    (error: { code?: string; message: string }) => `${error.code} ${error.message}`,
  );
}

const SCENARIOS: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  'an application of many small queries, named and unnamed': (place) =>
    withPool(place, async (pool) => {
      await pool.query('CREATE TABLE orders (id serial PRIMARY KEY, customer int, amount numeric, note jsonb)');
      const order = (i: number) =>
        pool.query({
          name: 'insert-order',
          text: 'INSERT INTO orders (customer, amount, note) VALUES ($1, $2, $3) RETURNING customer',
          values: [i % 7, i * 1.5, { i }],
        });
      await Promise.all(Array.from({ length: 200 }, (_, i) => order(i)));
      const perCustomer = await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          pool.query({
            name: `of-${i % 5}`,
            text: 'SELECT count(*), sum(amount) FROM orders WHERE customer = $1',
            values: [i % 7],
          }),
        ),
      );
      return perCustomer.map(({ rows }) => rows);
    }),
  'every type there and back': (place) =>
    withClient(place, async (client) => {
      const text = `SELECT $1::bool a, $2::int2 b, $3::int4 c, $4::int8 d, $5::float8 e, $6::numeric f, $7::text g, $8::bytea h,
        $9::timestamptz i, $10::date j, $11::interval k, $12::uuid l, $13::jsonb m, $14::int4[] n, $15::inet o, NULL::text p`;
      const values = [
        ...[true, 1, 2, '9007199254740993', 1.5, '1.23456789012345678901', 'ü\u{1F600}', Buffer.from([0, 255, 1])],
        ...['2026-01-02T03:04:05.678Z', '2026-02-03', '1 day 02:03:04', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', { x: [1] }],
        ...[[1, 2, 3], '10.0.0.1/8'],
      ];
      const { rows, fields } = await client.query(text, values);
      return { rows, types: fields.map(({ name, dataTypeID }) => `${name} ${dataTypeID}`) };
    }),
  'a parameter and a result of 20 MB': (place) =>
    withClient(place, async (client) => {
      const { rows } = await client.query('SELECT length($1::text) AS length, md5($1) AS sum, $1 AS same', [
        'q'.repeat(20_000_000),
      ]);
      return [rows[0].length, rows[0].sum, rows[0].same.length];
    }),
  'transactions with savepoints, and one that fails': (place) =>
    withClient(place, async (client) => {
      await client.query('CREATE TABLE t (a int UNIQUE)');
      await client.query('BEGIN');
      await client.query('INSERT INTO t VALUES ($1)', [1]);
      await client.query('SAVEPOINT here');
      const twice = await failure(client.query('INSERT INTO t VALUES ($1)', [1]));
      const broken = await failure(client.query('SELECT 1'));
      await client.query('ROLLBACK TO here');
      await client.query('INSERT INTO t VALUES ($1)', [2]);
      await client.query('COMMIT');
      return [twice, broken, (await client.query('SELECT a FROM t ORDER BY a')).rows];
    }),
  'settings, temporary tables, advisory locks and cursors of one session': (place) =>
    withClient(place, async (client) => {
      const value = async (text: string) => Object.values((await client.query(text)).rows[0]);
      await client.query("SET work_mem = '7777kB'; SET TimeZone = 'Asia/Tokyo'");
      await client.query("SELECT set_config('my.setting', 'mine', false)");
      await client.query('CREATE TEMP TABLE mine AS SELECT generate_series(1, 10) AS n');
      const seen = [await value('SHOW work_mem'), await value('SHOW my.setting'), await value('SELECT sum(n) FROM mine')];
      seen.push(await value('SELECT pg_try_advisory_lock(77)'), await value('SELECT pg_advisory_unlock(77)'));
      await client.query('BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT * FROM mine; COMMIT');
      const { rows } = await client.query('FETCH 3 FROM c');
      await client.query('CLOSE c; DROP TABLE mine; RESET work_mem');
      return [...seen, rows, await value('SHOW work_mem'), await value("SELECT '2026-01-01 00:00Z'::timestamptz::text")];
    }),
  'LISTEN and NOTIFY': (place) =>
    withClient(place, (listener) =>
      withClient(place, async (speaker) => {
        await listener.query('LISTEN news');
        const heard: unknown[] = [];
        const all = new Promise<void>((resolve) => {
          listener.on('notification', ({ channel, payload }) => {
            heard.push([channel, payload]);
            if (heard.length === 3) resolve();
          });
        });
        await speaker.query("NOTIFY news, 'one'");
        await speaker.query("SELECT pg_notify('news', 'two')");
        await speaker.query("BEGIN; NOTIFY news, 'three'; COMMIT");
        await all;
        return heard;
      }),
    ),
  'COPY in and out by streams': (place) =>
    withClient(place, async (client) => {
      await client.query('CREATE TABLE t (n int, line text)');
      const lines = Array.from({ length: 50_000 }, (_, n) => `${n}\tline ${n}\n`);
      await pipeline(Readable.from(lines), client.query(copyFrom('COPY t FROM STDIN')));
      const out = await text(client.query(copyTo('COPY (SELECT * FROM t ORDER BY n) TO STDOUT')));
      return [out === lines.join(''), (await client.query('SELECT count(*), sum(n) FROM t')).rows];
    }),
  'a statement that another connection cancels': (place) =>
    withClient(place, async (client) => {
      const { processID } = client as unknown as { processID: number };
      expect(processID).toBeGreaterThan(0);
      const sleeping = failure(client.query('SELECT pg_sleep(30)'));
      const canceller = new pg.Client({ host: place.host, port: place.port });
      // The driver's own way, which it keeps to itself.
      const { connection } = canceller as unknown as {
        connection: { stream: NodeJS.EventEmitter; cancel(pid: number, key: number): void };
      };
      const { secretKey } = client as unknown as { secretKey: number };
      let waiting = true;
      void sleeping.then(() => {
        waiting = false;
      });
      const running = async () =>
        (
          await sides.server.sql(
            `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()`,
          )
        ).length > 0;
      while (waiting && !(await running())) await new Promise((resolve) => setImmediate(resolve));
      const socket = (await import('node:net')).connect(place.port, place.host);
      socket.on('error', () => {});
      connection.stream.on('error', () => {});
      const request = Buffer.alloc(16);
      request.writeInt32BE(16, 0);
      request.writeInt32BE(80877102, 4);
      request.writeInt32BE(processID, 8);
      request.writeInt32BE(secretKey, 12);
      socket.end(request);
      socket.resume();
      await once(socket, 'close');
      return [await sleeping, (await client.query('SELECT 1 AS one')).rows];
    }),
  'errors of every kind leave the connection usable': (place) =>
    withClient(place, async (client) => {
      const failures = [
        await failure(client.query('SELEC')),
        await failure(client.query('SELECT 1/$1::int', [0])),
        await failure(client.query({ name: 'bad', text: 'SELECT * FROM nowhere' })),
        await failure(client.query({ name: 'bad', text: 'SELECT * FROM nowhere' })),
        await failure(client.query("SELECT 'x'::int; SELECT 2")),
        await failure(client.query('SELECT $1::int', ['x'])),
      ];
      return [
        failures,
        ((await client.query('SELECT 1 AS one; SELECT 2 AS two')) as unknown as pg.QueryResult[]).map(({ rows }) => rows),
      ];
    }),
  'DDL changes what a prepared statement returns': (place) =>
    withClient(place, async (client) => {
      await client.query('CREATE TABLE t AS SELECT 1 AS a');
      const all = { name: 'all', text: 'SELECT * FROM t' };
      const first = (await client.query(all)).rows;
      await client.query('ALTER TABLE t ALTER a TYPE text');
      const second = await failure(client.query(all));
      return [first, second.replace(/^.*cached plan.*$/, 'none')];
    }),
};

test.each(Object.keys(SCENARIOS))('%s', async (name) => {
  const { direct, through } = await sides.both(SCENARIOS[name] as (place: Place) => Promise<unknown>);
  expect(through).toEqual(direct);
});
