import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import { composeConnection } from '#programs/up/connection-urls.ts';
import { folderCluster } from './cluster-folder.ts';
import { psqlEnvironment } from './psql.ts';

const CLUSTER = folderCluster(clusterPaths('/srv/a b/main'), {
  version: 1 as const,
  cluster: 'main',
  createdAt: '2025-01-01T00:00:00.000Z',
  postgresBin: '/usr/lib/postgresql/15/bin',
  postgresVersion: '15.18',
  members: [
    { name: 'n1', host: '127.0.0.1', port: 5433, apiPort: 5533 },
    { name: 'n2', host: '::1', port: 5434, apiPort: 5534 },
  ],
});

test('whatever the URL holds, psql gets it as it was', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (name, password) => {
      const { readWrite } = composeConnection(CLUSTER.description, { name, password }, CLUSTER.paths.ca);
      expect(psqlEnvironment(CLUSTER, readWrite, {})).toEqual({
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

const { readWrite: URL_WITH_PASSWORD, readOnly } = composeConnection(
  CLUSTER.description,
  { name: 'postgres', password: 'p' },
  CLUSTER.paths.ca,
);

test('the URLs name every member, IPv6 in brackets', () => {
  expect(URL_WITH_PASSWORD).toBe(
    'postgresql://postgres:p@127.0.0.1:5433,[::1]:5434/postgres?target_session_attrs=read-write&sslmode=verify-ca&sslrootcert=/srv/a%20b/main/ca.crt&connect_timeout=2',
  );
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
