import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { readSecrets } from '#core/cluster/read-secrets.ts';
import { secretObjects } from '#core/cluster/secret-objects.ts';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { completeSecrets } from './complete-secrets.ts';

const cluster = parsePostgresCluster({ metadata: { name: 'main', namespace: 'database' }, spec: { roles: [{ name: 'app' }] } });
const NOTHING = readSecrets('main', [], []);

test('what is drawn once stays, and comes back from the Secrets as it was', async () => {
  const first = await completeSecrets(cluster, ['main-0', 'main-1'], NOTHING);
  const known = readSecrets('main', ['app'], secretObjects(cluster, first));
  expect(known).toEqual(first);
  expect(await completeSecrets(cluster, ['main-0', 'main-1'], known)).toEqual(first);
});

test('a member more gets a certificate, and the others keep theirs', async () => {
  const first = await completeSecrets(cluster, ['main-0'], NOTHING);
  const second = await completeSecrets(cluster, ['main-0', 'main-1'], first);
  expect(second.members['main-0']).toEqual(first.members['main-0']);
  const certificate = new X509Certificate(second.members['main-1']?.certificate ?? '');
  expect(certificate.verify(new X509Certificate(first.authority.certificate).publicKey)).toBe(true);
  expect(certificate.checkHost('main-1.main-pods.database.svc.cluster.local')).toBeDefined();
  expect(certificate.checkHost('main-primary')).toBeDefined();
});

test('what a proxy holds makes nobody a member', async () => {
  const { proxy } = await completeSecrets(cluster, [], NOTHING);
  const names = [proxy.agents, proxy.listener, proxy.servers].map(
    ({ certificate }) => new X509Certificate(certificate).subject.split('\n')[0],
  );
  expect(names).toEqual([`CN=${PROXY_NAME}`, `CN=${PROXY_NAME}`, `CN=${PROXY_LOGIN_NAME}`]);
});

test('a certificate that lacks a name is made anew', async () => {
  const short = { ...cluster, namespace: undefined };
  const first = await completeSecrets(short, ['main-0'], NOTHING);
  const second = await completeSecrets(cluster, ['main-0'], first);
  expect(second.members['main-0']).not.toEqual(first.members['main-0']);
  expect(second.superuser).toEqual(first.superuser);
});
