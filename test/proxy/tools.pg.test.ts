// PostgreSQL's own programs, directly and through the proxy: what they do is the same.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Place, SideBySide } from '../support/side-by-side.ts';

let sides: SideBySide;
beforeAll(async () => {
  sides = await SideBySide.start();
});
afterAll(() => sides?.end());

const QUICK = ['-n', '-c', '8', '-j', '2'];

/** Money neither appears nor vanishes, and every transaction has left its trace. */
const BALANCE = `SELECT count(*), sum(delta) = (SELECT sum(abalance) FROM pgbench_accounts) AND sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers)
  AND sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches) FROM pgbench_history`;

const psql = (place: Place, text: string) => place.run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1'], text);

/** What pgbench says of its transactions: all that is no duration. */
async function pgbench(place: Place, ...args: readonly string[]): Promise<readonly string[]> {
  const said = await place.run('pgbench', args);
  return said.split('\n').filter((line) => /^(?:number of (?:transactions|failed)|query mode|scaling)/.test(line));
}

async function withScript(place: Place, mode: string, script: string): Promise<readonly string[]> {
  writeFileSync(join(place.folder, 'script.sql'), script);
  return pgbench(place, ...QUICK, '-M', mode, '-t', '50', '-f', 'script.sql');
}

const PIPELINED = `\\startpipeline
SELECT 1;
INSERT INTO note VALUES (:client_id, 'a');
UPDATE note SET line = 'b' WHERE client = :client_id;
\\endpipeline
`;
const GSET = `\\set n random(1, 1000)
SELECT :n + 1 AS next, 1000 + :client_id AS tag \\gset
SELECT 1 / CASE WHEN :next = :n + 1 AND :tag = 1000 + :client_id THEN 1 ELSE 0 END;
`;

const SCENARIOS: Readonly<Record<string, (place: Place) => Promise<unknown>>> = {
  'pgbench: TPC-B in every mode': async (place) => {
    await place.run('pgbench', ['-i', '-q', '-s', '1']);
    const said = [];
    for (const mode of ['simple', 'extended', 'prepared']) said.push(await pgbench(place, ...QUICK, '-M', mode, '-t', '50'));
    return [said, await psql(place, BALANCE)];
  },
  'pgbench: a new connection for every transaction': async (place) => {
    await place.run('pgbench', ['-i', '-q', '-s', '1']);
    return pgbench(place, ...QUICK, '-C', '-S', '-t', '10');
  },
  'pgbench: pipelines': async (place) => {
    await psql(place, 'CREATE TABLE note (client int, line text)');
    const said = [];
    for (const mode of ['extended', 'prepared']) said.push(await withScript(place, mode, PIPELINED));
    return [said, await psql(place, 'SELECT client, line, count(*) FROM note GROUP BY 1, 2 ORDER BY 1, 2')];
  },
  'pgbench: variables out of results': async (place) => {
    const said = [];
    for (const mode of ['simple', 'extended', 'prepared']) said.push(await withScript(place, mode, GSET));
    return said;
  },
  'psql: \\watch, \\gexec, \\copy, \\gdesc and \\bind-like variables': (place) =>
    psql(
      place,
      `CREATE TABLE t (a int, b text);
\\copy t FROM PROGRAM 'printf "1\\tone\\n2\\ttwo\\n"'
SELECT format('INSERT INTO t VALUES (%s, %L)', i, i) FROM generate_series(3, 5) i \\gexec
SELECT a, b FROM t \\gdesc
\\set AUTOCOMMIT off
DELETE FROM t WHERE a = 1;
ROLLBACK;
SELECT * FROM t ORDER BY a;
\\d t
`,
    ),
  'pg_dump, restored by psql, dumps the same': async (place) => {
    await psql(place, OBJECTS);
    const dump = async (database: string) =>
      // It draws the key of \restrict by lot.
      (await place.run('pg_dump', ['-d', database])).replace(/^\\(?:un)?restrict .*$/gm, '');
    const first = await dump(place.database);
    await psql(place, `CREATE DATABASE ${place.database}_copy`);
    await place.run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', `${place.database}_copy`], first);
    expect(await dump(`${place.database}_copy`)).toBe(first);
    return first;
  },
  'pg_dump in parallel, restored by pg_restore': async (place) => {
    await psql(place, OBJECTS);
    await place.run('pg_dump', ['-F', 'd', '-j', '3', '-f', 'dump']);
    await psql(place, `CREATE DATABASE ${place.database}_copy`);
    await place.run('pg_restore', ['-j', '3', '-d', `${place.database}_copy`, 'dump']);
    return place.run('psql', ['-X', '-A', '-t', '-d', `${place.database}_copy`, '-c', 'SELECT * FROM shop.total']);
  },
  'pg_basebackup, and its verification': async (place) => {
    await place.run('pg_basebackup', ['-D', 'backup', '-X', 'stream', '-c', 'fast']);
    return place.run('pg_verifybackup', ['backup']);
  },
  pg_receivewal: async (place) => {
    const lsn = (await psql(place, 'CREATE TABLE t AS SELECT 1; SELECT pg_current_wal_lsn()')).trim();
    // It ends with the first record behind that position: not with whatever an idle server writes next.
    await psql(place, 'SELECT pg_switch_wal()');
    await place.run('/bin/mkdir', ['-p', 'wal']);
    await place.run('pg_receivewal', ['-D', 'wal', '--endpos', lsn, '--no-loop']);
    return readdirSync(join(place.folder, 'wal')).length;
  },
};

const OBJECTS = `CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('glad', 'sad');
CREATE DOMAIN shop.positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE shop.numbers START 100;
CREATE TABLE shop.customer (id int PRIMARY KEY DEFAULT nextval('shop.numbers'), name text NOT NULL, mood shop.mood DEFAULT 'glad', picture bytea);
CREATE TABLE shop.purchase (id int GENERATED ALWAYS AS IDENTITY, customer int REFERENCES shop.customer, amount shop.positive, at timestamptz)
  PARTITION BY RANGE (amount);
CREATE TABLE shop.small PARTITION OF shop.purchase FOR VALUES FROM (1) TO (100);
CREATE TABLE shop.large PARTITION OF shop.purchase DEFAULT;
INSERT INTO shop.customer (name, picture) SELECT 'customer ' || i, decode(repeat('00ff', i), 'hex') FROM generate_series(1, 200) i;
INSERT INTO shop.purchase (customer, amount, at) SELECT 100 + i % 200, i, '2026-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 500) i;
CREATE VIEW shop.total AS SELECT sum(amount) AS amount, count(DISTINCT customer) AS customers FROM shop.purchase;
CREATE MATERIALIZED VIEW shop.kept AS SELECT * FROM shop.total;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$;
CREATE TRIGGER stamp BEFORE UPDATE ON shop.purchase FOR EACH ROW EXECUTE FUNCTION shop.stamp();
CREATE INDEX ON shop.customer (lower(name)) WHERE mood = 'glad';
ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customer USING (name = current_user);
CREATE RULE nothing AS ON DELETE TO shop.customer DO INSTEAD NOTHING;
COMMENT ON TABLE shop.customer IS 'It''s "quoted"';
SELECT lo_from_bytea(4242, 'a large object');
`;

test.each(Object.keys(SCENARIOS))('%s', async (name) => {
  const { direct, through } = await sides.both(SCENARIOS[name] as (place: Place) => Promise<unknown>);
  expect(through).toEqual(direct);
});
