import { X509Certificate } from 'node:crypto';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { trustOf } from '#core/cluster/authority-rotation.ts';
import { listenerHosts, memberHosts } from '#core/cluster/certificate-hosts.ts';
import type { ClusterSecrets, KeyPair } from '#core/cluster/cluster-secrets.ts';
import type { KnownSecrets } from '#core/cluster/read-secrets.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import { fail } from '#domain/errors.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { MemberName } from '#domain/member.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { drawSecrets } from '#programs/up/draw-secrets.ts';

const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * What is missing in the secrets of a cluster is drawn, and a certificate is made anew that runs out within 30 days, is by another
 * authority, or lacks a name. The rest stays. `members`: everybody who is to have a certificate; those of others stay, too. `now`: in
 * milliseconds of the epoch. Errors: `tls.invalid`, also where an authority is missing that is in use.
 */
export async function completeSecrets(
  { name, namespace, spec }: PostgresCluster,
  members: readonly MemberName[],
  known: KnownSecrets,
  now = Date.now(),
): Promise<ClusterSecrets> {
  refuseWhatCannotBeDrawn(name, known);
  const drawn = drawSecrets();
  const authority = known.authority ?? (await createAuthority({ cluster: name }));
  const proxyAuthority = known.proxyAuthority ?? (await createAuthority({ cluster: name, of: 'proxies' }));
  const rotation = known.authority === undefined ? spec.tls.rotation : (known.rotation ?? 0);
  const change = known.change ?? null;
  const { issuer, bundle } = trustOf({ authority, rotation, change });
  const keep = async (pair: KeyPair | undefined, by: KeyPair, hosts: readonly string[], issue: () => Promise<KeyPair>) =>
    pair !== undefined && isGood(pair, by, hosts, now) ? pair : issue();
  const certified: Record<MemberName, KeyPair> = { ...known.members };
  for (const member of members) {
    const hosts = memberHosts(name, member, namespace);
    certified[member] = await keep(certified[member], issuer, hosts, () => issueCertificate(issuer, { name: member, hosts }));
  }
  const front = listenerHosts(name, namespace);
  const { proxy } = known;
  return {
    superuser: known.superuser ?? drawn.superuser,
    replication: known.replication ?? drawn.replication,
    agent: known.agent ?? drawn.agent,
    roles: Object.fromEntries(
      spec.roles.map((role) => [role.name, known.roles?.[role.name] ?? drawSecrets().superuser.password]),
    ),
    // Without a change of ours it is as whoever wrote it wants it.
    trusted: change === null ? (known.trusted ?? bundle) : bundle,
    authority,
    rotation,
    change,
    proxyAuthority,
    members: certified,
    proxy: {
      agents: await keep(proxy.agents, issuer, [], () => issueCertificate(issuer, { name: PROXY_NAME, clientOnly: true })),
      servers: await keep(proxy.servers, proxyAuthority, [], () =>
        issueCertificate(proxyAuthority, { name: PROXY_LOGIN_NAME, clientOnly: true }),
      ),
      listener: await keep(proxy.listener, issuer, front, () =>
        // By the name of a proxy: whoever takes it from one is no member to anybody.
        issueCertificate(issuer, { name: PROXY_NAME, hosts: front }),
      ),
    },
  };
}

/**
 * An authority that is drawn anew is trusted by nobody who holds the files of the one before. Where nobody holds any, because those Secrets
 * are gone too, all are made anew together: that is the way out for whoever has no copy.
 */
function refuseWhatCannotBeDrawn(name: string, { trusted, authority, proxyAuthority }: KnownSecrets): void {
  if (trusted === undefined || (authority !== undefined && proxyAuthority !== undefined)) return;
  const { authoritySecret, memberTlsSecret, proxyTlsSecret } = objectNames(name);
  fail(
    'tls.invalid',
    `the Secret ${authoritySecret} is missing or incomplete, while certificates by it are in use: put it back from a copy; or delete ${memberTlsSecret} and ${proxyTlsSecret}, too, and all are made anew, with an outage until every pod has the new files`,
  );
}

function isGood({ certificate }: KeyPair, by: KeyPair, hosts: readonly string[], now: number): boolean {
  const parsed = new X509Certificate(certificate);
  const lasts = parsed.validToDate.getTime() - now > RENEW_BEFORE_MS;
  const named = hosts.every((host) => parsed.checkHost(host) !== undefined);
  return lasts && named && parsed.verify(new X509Certificate(by.certificate).publicKey);
}
