import type { ConnectionUrls, Secrets } from '#domain/config/cluster-description.ts';

/** How long libpq waits for one host, in seconds; a frozen one must not hold up the way to the next. */
const CONNECT_TIMEOUT_S = 2;

/**
 * libpq URLs that name every member (manual, section 34.1.1.3): the client finds the one it wants, and after a failover the next one.
 * `verify-ca`: whoever shows a certificate of the cluster's authority is a member of it, whatever address it is reached at.
 */
export function composeConnection(
  { members }: { readonly members: readonly { readonly host: string; readonly port: number }[] },
  { name, password }: Secrets['superuser'],
  caFile: string,
): ConnectionUrls {
  const hosts = members.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  const url = (target: 'read-write' | 'prefer-standby') =>
    `postgresql://${encodeURIComponent(name)}:${encodeURIComponent(password)}@${hosts}/postgres?target_session_attrs=${target}` +
    `&sslmode=verify-ca&sslrootcert=${encodeURIComponent(caFile).replaceAll('%2F', '/')}&connect_timeout=${CONNECT_TIMEOUT_S}`;
  return { readWrite: url('read-write'), readOnly: url('prefer-standby') };
}
