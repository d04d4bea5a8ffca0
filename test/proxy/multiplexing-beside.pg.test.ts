// What reaches clients beside their answers while their reads share a connection, and what changes under such reads.
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { readParameterStatus } from '#wire/decode-backend.ts';
import { bind, close, describe as describeMessage, execute, parse, query, sync } from '#wire/encode-frontend.ts';
import { BACKEND } from '#wire/message-types.ts';
import { RSA, selfSigned } from '#wire/testing/self-signed.ts';
import type { Login } from '../support/plain-server.ts';
import { Front, until } from '../support/proxy-front.ts';
import type { RawClient } from '../support/raw-client.ts';
import { ReadStage } from '../support/read-stage.ts';

let front: Front;
let login: Login;
let stage: ReadStage;
const SETUP = `CREATE TABLE held (a int); INSERT INTO held VALUES (1); ALTER TABLE held OWNER TO app;
  CREATE TABLE changing AS SELECT 1 AS a; ALTER TABLE changing OWNER TO app;
  CREATE TABLE swapped AS SELECT 1 AS a; ALTER TABLE swapped OWNER TO app; GRANT CREATE ON SCHEMA public TO app`;
const WAITS = 'SELECT a FROM held';
const TWO = 'SELECT 2 AS two';
beforeAll(async () => {
  front = await Front.start();
  login = await front.server.addLogin('app');
  await front.server.sql(SETUP);
});
afterEach(async () => {
  await stage.end();
  await front.endProxies();
});
afterAll(() => front?.end());

const codeOf = (error: { code?: string }) => error.code ?? 'none';
const firstOf = ({ rows }: pg.QueryResult) => Object.values(rows[0] ?? {})[0];

async function parametersUntilReady(raw: RawClient) {
  const seen: NonNullable<ReturnType<typeof readParameterStatus>>[] = [];
  for (;;) {
    const message = await raw.next();
    const parameter = readParameterStatus(message);
    if (parameter !== undefined) seen.push(parameter);
    if (message[0] === BACKEND.readyForQuery) return seen;
  }
}

test('a notice is heard by the client whose read raised it, and by no other', async () => {
  stage = await ReadStage.start(front, login);
  const first = await stage.client();
  const clients = await Promise.all(Array.from({ length: 4 }, () => stage.client()));
  // A name that is too long is cut off with a notice.
  const texts = clients.map((_, at) => `SELECT ${at} AS client_${at}_${'x'.repeat(70)}`);
  await stage.learn(first, WAITS, ...texts);
  const heard = clients.map(() => [] as string[]);
  for (const [at, client] of clients.entries()) client.on('notice', ({ message = '' }) => heard[at]?.push(message.slice(12, 20)));
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first.query(WAITS);
  await stage.untilLocked();
  const answers = clients.map((client, at) => client.query(texts[at] as string).then(firstOf));
  await stage.untilJoined(clients.length, before);
  await unlock();
  await waiting;
  expect(await Promise.all(answers)).toEqual([0, 1, 2, 3]);
  expect(heard).toEqual(clients.map((_, at) => [`client_${at}`]));
  await Promise.all([first, ...clients].map((client) => client.end()));
});

test('a parameter that changes meanwhile is reported to each of them once', async () => {
  stage = await ReadStage.start(front, login);
  const raws = await Promise.all(Array.from({ length: 3 }, () => stage.raw()));
  const first = await stage.client();
  await stage.learn(first, WAITS, TWO);
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first.query(WAITS);
  await stage.untilLocked();
  for (const raw of raws) raw.send(query(TWO));
  await stage.untilJoined(raws.length, before);
  const zone = "ALTER SYSTEM SET TimeZone = 'Asia/Tokyo'";
  try {
    await front.server.sql(zone);
    await front.server.sql('SELECT pg_reload_conf()');
    // The postmaster has read it when a new connection has it; its backends have been told by then.
    await until(async () => expect(await front.server.sql('SHOW TimeZone')).toEqual([{ TimeZone: 'Asia/Tokyo' }]));
    await unlock();
    await waiting;
    const told: string[][] = [];
    for (const raw of raws) {
      // By the next answer at the latest.
      raw.send(query(TWO));
      const parameters = [...(await parametersUntilReady(raw)), ...(await parametersUntilReady(raw))];
      told.push(parameters.map(({ name, value }) => `${name}=${value}`));
    }
    expect(told).toEqual(raws.map(() => ['TimeZone=Asia/Tokyo']));
  } finally {
    await front.server.sql('ALTER SYSTEM RESET TimeZone');
    await front.server.sql('SELECT pg_reload_conf()');
  }
  await first.end();
  for (const raw of raws) raw.destroy();
});

test('a statement_timeout that all of them have set ends the one that it hits', async () => {
  stage = await ReadStage.start(front, login);
  const clients = (await Promise.all(Array.from({ length: 3 }, () => stage.client()))) as [pg.Client, pg.Client, pg.Client];
  for (const client of clients) await client.query("SET statement_timeout = '6s'");
  const [first, ...others] = clients;
  await stage.learn(first, WAITS, TWO);
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first.query(WAITS).then(firstOf, codeOf);
  await stage.untilLocked();
  const answers = others.map((client) => client.query(TWO).then(firstOf, codeOf));
  await stage.untilJoined(others.length, before);
  expect(await waiting).toBe('57014');
  expect(await Promise.all(answers)).toEqual([2, 2]);
  await unlock();
  expect(await first.query(WAITS).then(firstOf)).toBe(1);
  await Promise.all(clients.map((client) => client.end()));
});

test('a table whose columns change between reads that share: prepared reads of it fail as directly, others do not', async () => {
  stage = await ReadStage.start(front, login);
  const [first, simple, beside] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  const raw = await stage.raw();
  const text = 'SELECT * FROM changing';
  const run = () => raw.send(bind('', 's', []), describeMessage('P', ''), execute(''), sync());
  raw.send(parse('s', text), sync());
  await raw.untilReady();
  await stage.learn(first as pg.Client, WAITS, TWO, text);
  run();
  await raw.untilReady();
  const unlock = await stage.lock();
  const before = stage.joined;
  const waiting = first?.query(WAITS);
  await stage.untilLocked();
  const columns = simple?.query(text).then(({ rows }) => rows);
  run();
  const other = beside?.query(TWO).then(firstOf);
  await stage.untilJoined(3, before);
  await front.server.sql('ALTER TABLE changing ADD COLUMN b int DEFAULT 7');
  await unlock();
  await waiting;
  expect(await columns).toEqual([{ a: 1, b: 7 }]);
  const failed = await raw.untilReady();
  expect(failed.map((message) => message[0])).toEqual([BACKEND.errorResponse, BACKEND.readyForQuery]);
  expect(String(failed[0])).toContain('cached plan must not change result type');
  expect(await other).toBe(2);
  raw.send(close('S', 's'), parse('s', text), sync());
  await raw.untilReady();
  run();
  expect((await raw.untilReady()).map((message) => message[0])).toContain(BACKEND.dataRow);
  await Promise.all([first, simple, beside].map((client) => client?.end()));
  raw.destroy();
});

test('a table that becomes a view which changes its session is not read among others any more', async () => {
  stage = await ReadStage.start(front, login);
  const [owner, reader, other] = (await Promise.all([stage.client(), stage.client(), stage.client()])) as pg.Client[];
  const text = 'SELECT a FROM swapped';
  await stage.learn(reader as pg.Client, WAITS, text);
  await other?.query('SELECT 1');
  const setting = `CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '3MB', false) $$`;
  await owner?.query(`BEGIN; ${setting}; DROP TABLE swapped; CREATE VIEW swapped AS SELECT sets() AS a; COMMIT`);
  const before = stage.joined;
  expect(await reader?.query(text).then(firstOf)).toBe('3MB');
  expect(await other?.query('SHOW work_mem').then(firstOf)).toBe('4MB');
  expect(await reader?.query('SHOW work_mem').then(firstOf)).toBe('3MB');
  const unlock = await stage.lock();
  const waiting = owner?.query(WAITS);
  await stage.untilLocked();
  const alone = other?.query(text).then(firstOf);
  await until(() => expect(stage.proxy.counts.waiting).toBe(1));
  await unlock();
  await waiting;
  expect(await alone).toBe('3MB');
  expect(stage.joined).toBe(before);
  await Promise.all([owner, reader, other].map((client) => client?.end()));
});

test('clients with TLS and without share a connection, and each reads its own answers', async () => {
  const shown = await selfSigned({ ...RSA, name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' });
  stage = await ReadStage.start(front, login, { clientTls: () => ({ certificate: shown.certificate, key: shown.key }) });
  const ssl = { rejectUnauthorized: false };
  const clients = await Promise.all(Array.from({ length: 8 }, (_, at) => stage.client(at % 2 === 0 ? { ssl } : {})));
  const text = "SELECT 'of' || $1::text || repeat('.', $2::int) AS said";
  const wrong: string[] = [];
  const work = clients.map(async (client, at) => {
    for (let turn = 0; turn < 100; turn++) {
      const value = `${at}:${turn}`;
      // Some that are larger than a record of TLS.
      const width = turn % 25 === 24 ? 20_000 : turn;
      const { rows } = await client.query({ ...(turn % 3 === 0 ? { name: 's' } : {}), text, values: [value, width] });
      if (rows[0]?.said !== `of${value}${'.'.repeat(width)}`) wrong.push(`${value}: ${rows[0]?.said}`);
    }
  });
  await Promise.all(work);
  expect(wrong).toEqual([]);
  expect(stage.joined).toBeGreaterThan(50);
  await Promise.all(clients.map((client) => client.end()));
});
