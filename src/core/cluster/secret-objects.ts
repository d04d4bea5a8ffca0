import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { ClusterSecrets } from './cluster-secrets.ts';
import { clusterObject } from './object.ts';

/** The Secrets of a cluster. They outlive the resource: without them, volumes that are kept could not be used again. */
export function secretObjects(cluster: PostgresCluster, secrets: ClusterSecrets): readonly KubeObject[] {
  const names = objectNames(cluster.name);
  const { proxy } = secrets;
  return [
    secret(cluster, names.superuserSecret, login(secrets.superuser)),
    secret(cluster, names.replicationSecret, login(secrets.replication)),
    secret(cluster, names.agentSecret, login(secrets.agent)),
    ...cluster.spec.roles
      .filter(({ login, passwordSecret, state }) => login && state === 'present' && passwordSecret === undefined)
      .map(({ name }) => secret(cluster, names.roleSecret(name), login({ name, password: secrets.roles[name] ?? '' }))),
    secret(cluster, names.authoritySecret, {
      'ca.crt': secrets.authority.certificate,
      'ca.key': secrets.authority.key,
      'proxy-ca.crt': secrets.proxyAuthority.certificate,
      'proxy-ca.key': secrets.proxyAuthority.key,
      rotation: String(secrets.rotation),
      ...changeOf(secrets),
    }),
    secret(cluster, names.memberTlsSecret, {
      'ca.crt': secrets.trusted,
      'proxy-ca.crt': secrets.proxyAuthority.certificate,
      ...Object.fromEntries(
        Object.entries(secrets.members).flatMap(([name, { certificate, key }]) => [
          [`${name}.crt`, certificate],
          [`${name}.key`, key],
        ]),
      ),
    }),
    secret(cluster, names.proxyTlsSecret, {
      'ca.crt': secrets.trusted,
      'proxy.crt': proxy.agents.certificate,
      'proxy.key': proxy.agents.key,
      'server.crt': proxy.servers.certificate,
      'server.key': proxy.servers.key,
      'listener.crt': proxy.listener.certificate,
      'listener.key': proxy.listener.key,
    }),
  ];
}

function changeOf({ change }: ClusterSecrets): Readonly<Record<string, string>> {
  if (change === null) return {};
  const { stage, since, next } = change;
  return { stage, since: String(since), 'next-ca.crt': next.certificate, 'next-ca.key': next.key };
}

function login({ name, password }: ClusterSecrets['superuser']) {
  return { username: name, password };
}

function secret(cluster: PostgresCluster, name: string, values: Readonly<Record<string, string>>): KubeObject {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  return clusterObject(cluster, 'v1', 'Secret', name, { type: 'Opaque', data }, { outlives: true });
}
