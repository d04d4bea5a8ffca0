import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import type { TestServer } from '#adapters/postgres/testing/test-server.ts';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { keepDeclared } from './keep-declared.ts';

let servers: TestServers;
let server: TestServer;
let client: pg.Client;

beforeAll(async () => {
  servers = await TestServers.open();
  server = await servers.primary('n1');
  client = await server.connect();
});
afterAll(() => servers.end());

const PASSWORD = "app's password";

function keep(spec: unknown): Promise<readonly string[]> {
  const declared = parsePostgresCluster({ metadata: { name: 'main' }, spec }).spec;
  const passwords = Object.fromEntries(declared.roles.filter(({ login }) => login).map(({ name }) => [name, PASSWORD]));
  return keepDeclared(declared, passwords, (database) => server.connect(undefined, { database }));
}

const DECLARED = {
  roles: [
    { name: 'readers', login: false },
    { name: 'app-writer', createdb: true, connectionLimit: 5, memberOf: ['readers'] },
  ],
  databases: [{ name: 'app', owner: 'app-writer', extensions: ['pg_trgm', 'plpgsql'] }],
};

test('roles, databases and extensions are made, and then nothing is left to do', async () => {
  expect(await keep(DECLARED)).toEqual([
    'CREATE ROLE "readers" WITH NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT CONNECTION LIMIT -1',
    'CREATE ROLE "app-writer" WITH LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT CONNECTION LIMIT 5 PASSWORD …',
    'GRANT "readers" TO "app-writer"',
    'CREATE DATABASE "app" OWNER "app-writer"',
    'CREATE EXTENSION IF NOT EXISTS "pg_trgm" CASCADE',
    'CREATE EXTENSION IF NOT EXISTS "plpgsql" CASCADE',
  ]);
  expect(await keep(DECLARED)).toEqual([]);
  const login = await server.connect({ name: 'app-writer', password: PASSWORD }, { database: 'app' });
  await login.query('CREATE TABLE t (word text); CREATE INDEX ON t USING gin (word gin_trgm_ops)');
  await login.end();
});

test('what was changed by hand is changed back, and no more than that', async () => {
  await client.query('ALTER ROLE "app-writer" CREATEROLE CONNECTION LIMIT 9');
  await client.query('REVOKE readers FROM "app-writer"');
  await client.query('ALTER DATABASE app OWNER TO postgres');
  expect(await keep(DECLARED)).toEqual([
    'ALTER ROLE "app-writer" WITH NOCREATEROLE CONNECTION LIMIT 5',
    'GRANT "readers" TO "app-writer"',
    'ALTER DATABASE "app" OWNER TO "app-writer"',
  ]);
});

test('another password is set', async () => {
  await client.query(`ALTER ROLE "app-writer" PASSWORD 'another'`);
  expect(await keep(DECLARED)).toEqual(['ALTER ROLE "app-writer" WITH PASSWORD …']);
  const login = await server.connect({ name: 'app-writer', password: PASSWORD });
  await login.end();
});

test('a role that is to be absent goes, unless something belongs to it', async () => {
  await keep({ roles: [{ name: 'gone' }] });
  expect(await keep({ roles: [{ name: 'gone', state: 'absent' }] })).toEqual(['DROP ROLE "gone"']);
  expect(await keep({ roles: [{ name: 'gone', state: 'absent' }] })).toEqual([]);
  await expect(keep({ roles: [{ name: 'app-writer', state: 'absent' }] })).rejects.toThrow(
    'DROP ROLE "app-writer": role "app-writer" cannot',
  );
});
