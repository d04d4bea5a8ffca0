import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  DECLARED_DATABASES,
  DECLARED_EXTENSIONS,
  DECLARED_ROLES,
  type DeclaredRoleRow,
} from '#adapters/postgres/declared-state.ts';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import type { TestServer } from '#adapters/postgres/testing/test-server.ts';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { buildScramVerifier, parseScramVerifier } from '#wire/scram-verifier.ts';
import { declaredStatements, type ObservedDatabase, type ObservedRole } from './declared-statements.ts';

let servers: TestServers;
let server: TestServer;
let client: pg.Client;

beforeAll(async () => {
  servers = await TestServers.open();
  server = await servers.primary('n1');
  client = await server.connect();
});
afterAll(() => servers.end());

const PASSWORD = 'app-password';

function isOf(verifier: string | null): boolean {
  const parsed = parseScramVerifier(verifier ?? '');
  return parsed !== undefined && buildScramVerifier(PASSWORD, parsed.salt, parsed.iterations) === verifier;
}

async function inDatabase<T>(database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  if (database === 'postgres') return work(client);
  const other = await server.connect(undefined, { database });
  try {
    return await work(other);
  } finally {
    await other.end();
  }
}

/** One round; gives the statements that it took. */
async function keep(spec: unknown): Promise<readonly string[]> {
  const { roles, databases } = parsePostgresCluster({ metadata: { name: 'main' }, spec }).spec;
  const names = (list: readonly { readonly name: string }[]) => [list.map(({ name }) => name)];
  const { rows } = await client.query<DeclaredRoleRow>(DECLARED_ROLES, names(roles));
  const observedRoles: ObservedRole[] = rows.map(({ verifier, ...role }) => ({ ...role, passwordIsRight: isOf(verifier) }));
  const found = (await client.query<{ name: string; owner: string }>(DECLARED_DATABASES, names(databases))).rows;
  const observedDatabases: ObservedDatabase[] = [];
  for (const database of found) {
    const { rows } = await inDatabase(database.name, (one) => one.query<{ name: string }>(DECLARED_EXTENSIONS));
    observedDatabases.push({ ...database, extensions: rows.map(({ name }) => name) });
  }
  const verifiers = Object.fromEntries(roles.map(({ name }) => [name, buildScramVerifier(PASSWORD)]));
  const statements = declaredStatements({ roles, databases }, { roles: observedRoles, databases: observedDatabases }, verifiers);
  for (const { database, sql } of statements) await inDatabase(database, (one) => one.query(sql));
  return statements.map(({ sql }) => sql);
}

const DECLARED = {
  roles: [
    { name: 'readers', login: false },
    { name: 'app-writer', createdb: true, connectionLimit: 5, memberOf: ['readers'] },
  ],
  databases: [{ name: 'app', owner: 'app-writer', extensions: ['pg_trgm', 'plpgsql'] }],
};

test('roles, databases and extensions are made, and then nothing is left to do', async () => {
  const statements = await keep(DECLARED);
  expect(statements.map((sql) => sql.split(' ').slice(0, 2).join(' '))).toEqual([
    'CREATE ROLE',
    'CREATE ROLE',
    'GRANT "readers"',
    'CREATE DATABASE',
    'CREATE EXTENSION',
    'CREATE EXTENSION',
  ]);
  expect(await keep(DECLARED)).toEqual([]);
  const login = await server.connect({ name: 'app-writer', password: PASSWORD }, { database: 'app' });
  await login.query('CREATE TABLE t (word text); CREATE INDEX ON t USING gin (word gin_trgm_ops)');
  await login.end();
});

test('what was changed by hand is changed back, and no more than that', async () => {
  await client.query(
    'ALTER ROLE "app-writer" CREATEROLE CONNECTION LIMIT 9; REVOKE readers FROM "app-writer"; ALTER DATABASE app OWNER TO postgres',
  );
  expect(await keep(DECLARED)).toEqual([
    'ALTER ROLE "app-writer" WITH NOCREATEROLE CONNECTION LIMIT 5',
    'GRANT "readers" TO "app-writer"',
    'ALTER DATABASE "app" OWNER TO "app-writer"',
  ]);
});

test('another password is set, and only as what cannot be read back', async () => {
  await client.query(`ALTER ROLE "app-writer" PASSWORD 'another'`);
  const [statement, ...others] = await keep(DECLARED);
  expect(statement).toMatch(/^ALTER ROLE "app-writer" WITH PASSWORD 'SCRAM-SHA-256\$/);
  expect(others).toEqual([]);
});

test('a role that is to be absent goes, unless something belongs to it', async () => {
  await keep({ roles: [{ name: 'gone' }] });
  expect(await keep({ roles: [{ name: 'gone', state: 'absent' }] })).toEqual(['DROP ROLE "gone"']);
  expect(await keep({ roles: [{ name: 'gone', state: 'absent' }] })).toEqual([]);
  await expect(keep({ roles: [{ name: 'app-writer', state: 'absent' }] })).rejects.toMatchObject({ code: '2BP01' });
});
