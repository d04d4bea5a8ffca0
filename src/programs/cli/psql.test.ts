import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { composeConnection } from '#programs/up/connection-urls.ts';
import { folderCluster } from './cluster-folder.ts';
import { psqlEnvironment } from './psql.ts';

const PATHS = clusterPaths('/srv/a b/main');
const DESCRIPTION = {
  version: 1 as const,
  cluster: 'main',
  createdAt: '2025-01-01T00:00:00.000Z',
  postgresBin: '/usr/lib/postgresql/15/bin',
  postgresVersion: '15.18',
  members: [
    { name: 'n1', host: '127.0.0.1', port: 5433, apiPort: 5533 },
    { name: 'n2', host: '::1', port: 5434, apiPort: 5534 },
  ],
};
const CLUSTER = folderCluster(PATHS, DESCRIPTION);
const PROXIED = folderCluster(PATHS, { ...DESCRIPTION, proxy: { host: '127.0.0.1', port: 6432, metricsPort: 6532 } });

test('whatever the URL holds, psql gets it as it was', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (name, password) => {
      const { direct } = composeConnection(CLUSTER.description, { name, password }, CLUSTER.paths.ca);
      expect(psqlEnvironment(CLUSTER, direct, {})).toEqual({
        PGHOST: '127.0.0.1,::1',
        PGPORT: '5433,5434',
        PGUSER: name,
        PGPASSWORD: password,
        PGDATABASE: 'postgres',
        PGSSLMODE: 'verify-ca',
        PGSSLROOTCERT: '/srv/a b/main/ca.crt',
        PGCONNECT_TIMEOUT: '2',
        PGTARGETSESSIONATTRS: 'read-write',
      });
    }),
  );
});

const {
  direct: URL_WITH_PASSWORD,
  readWrite,
  readOnly,
} = composeConnection(CLUSTER.description, { name: 'postgres', password: 'p' }, CLUSTER.paths.ca);

test('the URLs name every member, IPv6 in brackets', () => {
  expect(URL_WITH_PASSWORD).toBe(
    'postgresql://postgres:p@127.0.0.1:5433,[::1]:5434/postgres?target_session_attrs=read-write&sslmode=verify-ca&sslrootcert=/srv/a%20b/main/ca.crt&connect_timeout=2',
  );
  expect(readWrite).toBe(URL_WITH_PASSWORD);
  expect(readOnly).toContain('target_session_attrs=prefer-standby');
});

test.each([
  [{}, '5433,5434', 'read-write'],
  [{ primary: true }, '5433,5434', 'read-write'],
  [{ replica: true }, '5433,5434', 'prefer-standby'],
  [{ member: 'n2' }, '5434', 'any'],
])('%j', (options, port, target) => {
  expect(psqlEnvironment(CLUSTER, URL_WITH_PASSWORD, options)).toMatchObject({ PGPORT: port, PGTARGETSESSIONATTRS: target });
});

test('a member that does not exist', () => {
  expect(() => psqlEnvironment(CLUSTER, URL_WITH_PASSWORD, { member: 'n9' })).toThrow(
    expect.objectContaining({ code: 'member.unknown' }),
  );
});

test('with a proxy, one host and nothing that only libpq knows; the other URLs are as they were', () => {
  const urls = composeConnection(PROXIED.description, { name: 'postgres', password: 'p' }, PATHS.ca);
  expect(urls.readWrite).toBe(
    'postgresql://postgres:p@127.0.0.1:6432/postgres?sslmode=verify-ca&sslrootcert=/srv/a%20b/main/ca.crt&connect_timeout=30',
  );
  expect(urls).toMatchObject({ direct: URL_WITH_PASSWORD, readOnly });
});

test.each([
  [{}, '6432,5433,5434'],
  [{ primary: true }, '6432,5433,5434'],
  [{ replica: true }, '5433,5434'],
  [{ member: 'n2' }, '5434'],
])('with a proxy, %j goes there first, and on to the members when it does not run', (options, port) => {
  expect(psqlEnvironment(PROXIED, URL_WITH_PASSWORD, options)).toMatchObject({ PGPORT: port });
});
