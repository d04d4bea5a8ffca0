import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { createAuthority } from '#adapters/tls/authority.ts';
import { STAGES } from '#core/cluster/authority-rotation.ts';
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

const DAY_MS = 86_400_000;

test('certificates that run out within a month are made anew by the same authority, and before that they stay', async () => {
  const first = await completeSecrets(cluster, ['main-0'], NOTHING);
  expect(await completeSecrets(cluster, ['main-0'], first, Date.now() + 330 * DAY_MS)).toEqual(first);
  const later = await completeSecrets(cluster, ['main-0'], first, Date.now() + 340 * DAY_MS);
  expect(later.authority).toEqual(first.authority);
  const pairs = ({ members, proxy }: typeof first) => [members['main-0'], proxy.agents, proxy.servers, proxy.listener];
  for (const [index, pair] of pairs(later).entries()) expect(pair).not.toEqual(pairs(first)[index]);
});

test('a new authority: both are trusted, then it issues, then it is trusted alone, each kept in the Secrets', async () => {
  const first = await completeSecrets(cluster, ['main-0'], NOTHING);
  const next = await createAuthority({ cluster: 'main' });
  const issuers: string[] = [];
  for (const stage of STAGES) {
    const known = readSecrets('main', ['app'], secretObjects(cluster, { ...first, change: { stage, next, since: 5 } }));
    const secrets = await completeSecrets(cluster, ['main-0'], known);
    expect(secrets.change).toEqual({ stage, next, since: 5 });
    expect(secrets.trusted.includes(first.authority.certificate)).toBe(stage !== 'withdraw');
    expect(secrets.trusted).toContain(next.certificate);
    const certificate = new X509Certificate(secrets.members['main-0']?.certificate ?? '');
    issuers.push(certificate.verify(new X509Certificate(next.certificate).publicKey) ? 'new' : 'old');
  }
  expect(issuers).toEqual(['old', 'new', 'new']);
});

test.each([
  ['authority', { authority: undefined }],
  ['half an authority', { proxyAuthority: undefined }],
])('a lost %s is not drawn anew while it is in use, and the way out is named', async (_, lost) => {
  const first = await completeSecrets(cluster, ['main-0'], NOTHING);
  const message = /main-authority .* put it back from a copy; or delete main-member-tls and main-proxy-tls/;
  await expect(completeSecrets(cluster, ['main-0'], { ...first, ...lost })).rejects.toThrow(message);
  // What that message says: the two Secrets are gone, the logins stay.
  const { trusted: _trusted, members: _members, ...rest } = first;
  const second = await completeSecrets(cluster, ['main-0'], { ...rest, ...lost, proxy: {} });
  expect(second.trusted).toBe(second.authority.certificate);
  const certificate = new X509Certificate(second.members['main-0']?.certificate ?? '');
  expect(certificate.verify(new X509Certificate(second.trusted).publicKey)).toBe(true);
  expect([second.superuser, second.replication, second.agent]).toEqual([first.superuser, first.replication, first.agent]);
});

test.each(['superuser', 'replication', 'agent'] as const)(
  'a lost password of %s is drawn anew, and all else stays',
  async (login) => {
    const first = await completeSecrets(cluster, ['main-0'], NOTHING);
    const { [login]: drawn, ...others } = await completeSecrets(cluster, ['main-0'], { ...first, [login]: undefined });
    const { [login]: before, ...same } = first;
    expect(others).toEqual(same);
    expect(drawn.name).toBe(before.name);
    expect(drawn.password).not.toBe(before.password);
  },
);
