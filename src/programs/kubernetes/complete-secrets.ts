import { X509Certificate } from 'node:crypto';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { listenerHosts, memberHosts } from '#core/cluster/certificate-hosts.ts';
import type { ClusterSecrets, KeyPair } from '#core/cluster/cluster-secrets.ts';
import type { KnownSecrets } from '#core/cluster/read-secrets.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { MemberName } from '#domain/member.ts';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { drawSecrets } from '#programs/up/draw-secrets.ts';

const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * What is missing in the secrets of a cluster is drawn, and a certificate is made anew that runs out within 30 days, is by another
 * authority, or lacks a name. The rest stays. `members`: everybody who is to have a certificate; those of others stay, too.
 */
export async function completeSecrets(
  { name, namespace, spec }: PostgresCluster,
  members: readonly MemberName[],
  known: KnownSecrets,
): Promise<ClusterSecrets> {
  const drawn = drawSecrets();
  const authority = known.authority ?? (await createAuthority({ cluster: name }));
  const proxyAuthority = known.proxyAuthority ?? (await createAuthority({ cluster: name, of: 'proxies' }));
  const keep = async (pair: KeyPair | undefined, by: KeyPair, hosts: readonly string[], issue: () => Promise<KeyPair>) =>
    pair !== undefined && isGood(pair, by, hosts) ? pair : issue();
  const certified: Record<MemberName, KeyPair> = { ...known.members };
  for (const member of members) {
    const hosts = memberHosts(name, member, namespace);
    certified[member] = await keep(certified[member], authority, hosts, () =>
      issueCertificate(authority, { name: member, hosts }),
    );
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
    trusted: known.trusted ?? authority.certificate,
    authority,
    proxyAuthority,
    members: certified,
    proxy: {
      agents: await keep(proxy.agents, authority, [], () => issueCertificate(authority, { name: PROXY_NAME, clientOnly: true })),
      servers: await keep(proxy.servers, proxyAuthority, [], () =>
        issueCertificate(proxyAuthority, { name: PROXY_LOGIN_NAME, clientOnly: true }),
      ),
      listener: await keep(proxy.listener, authority, front, () =>
        // By the name of a proxy: whoever takes it from one is no member to anybody.
        issueCertificate(authority, { name: PROXY_NAME, hosts: front }),
      ),
    },
  };
}

function isGood({ certificate }: KeyPair, by: KeyPair, hosts: readonly string[]): boolean {
  const parsed = new X509Certificate(certificate);
  const lasts = parsed.validToDate.getTime() - Date.now() > RENEW_BEFORE_MS;
  const named = hosts.every((host) => parsed.checkHost(host) !== undefined);
  return lasts && named && parsed.verify(new X509Certificate(by.certificate).publicKey);
}
