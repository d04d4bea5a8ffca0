/**
 * The names in the certificates of a proxy. A member is called by lower-case letters, digits and dashes, so neither can ever be a
 * member's: the first has a dot, the second a space.
 */

/** In the certificate of the cluster's authority, by which a proxy is known to the agents. */
export const PROXY_NAME = 'proxy.matriarch';

/** In the certificate of the proxies' own authority, by which it logs in at the servers. */
export const PROXY_LOGIN_NAME = 'matriarch proxy';

/** The map in pg_ident.conf that says as whom it may. */
export const PROXY_MAP = 'matriarch-proxy';

export function isProxyName(name: string): boolean {
  return name.startsWith('proxy.');
}
