import type { ConnectionUrls, ProxyDescription, Secrets } from '#domain/config/cluster-description.ts';

/** How long libpq waits for one host, in seconds; a frozen one must not hold up the way to the next. */
const CONNECT_TIMEOUT_S = 2;
/** The proxy holds a login while there is no primary, for as long as that by default. */
const PROXY_CONNECT_TIMEOUT_S = 30;

/**
 * libpq URLs that name every member (manual, section 34.1.1.3): the client finds the one it wants, and after a failover the next one.
 * `verify-ca`: whoever shows a certificate of the cluster's authority is a member of it, whatever address it is reached at.
 */
export function composeConnection(
  {
    members,
    proxy,
  }: {
    readonly members: readonly { readonly host: string; readonly port: number }[];
    readonly proxy?: Pick<ProxyDescription, 'host' | 'port'> | null | undefined;
  },
  { name, password }: Secrets['superuser'],
  caFile: string,
): ConnectionUrls {
  const login = `${encodeURIComponent(name)}:${encodeURIComponent(password)}`;
  const tls = `sslmode=verify-ca&sslrootcert=${encodeURIComponent(caFile).replaceAll('%2F', '/')}`;
  const hosts = members.map(addressOf).join(',');
  const url = (target: 'read-write' | 'prefer-standby') =>
    `postgresql://${login}@${hosts}/postgres?target_session_attrs=${target}&${tls}&connect_timeout=${CONNECT_TIMEOUT_S}`;
  const direct = url('read-write');
  // One host and nothing but what every client knows: the proxy finds the primary.
  const readWrite = proxy
    ? `postgresql://${login}@${addressOf(proxy)}/postgres?${tls}&connect_timeout=${PROXY_CONNECT_TIMEOUT_S}`
    : direct;
  return { readWrite, readOnly: url('prefer-standby'), direct };
}

function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
