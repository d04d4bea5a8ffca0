import type { Upstream } from '#domain/server.ts';
import type { Layout } from './layout.ts';
import type { Login } from './postgres-options.ts';

/** libpq's keyword/value string (manual, section 34.1.1.1). Never with a password: it shows in settings, views and argument lists. */
export function formatConninfo(parts: Readonly<Record<string, string>>): string {
  return Object.entries(parts)
    .map(([key, value]) => `${key}='${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`)
    .join(' ');
}

/**
 * How a member connects to another one. The certificate must come from the cluster's authority, and channel binding makes the server
 * prove that it knows the password too, over this very connection. The short timeouts free a connection whose machine vanished.
 */
export function upstreamParts(
  upstream: Upstream,
  layout: Layout,
  login: Login,
  passfile: string,
): Readonly<Record<string, string>> {
  return {
    host: upstream.host,
    port: String(upstream.port),
    user: login.name,
    application_name: upstream.name,
    passfile,
    sslmode: 'verify-ca',
    sslrootcert: layout.caFile,
    // Named, or libpq looks for one in the home of whoever started the server, and fails where it may not look.
    sslcert: layout.certFile,
    sslkey: layout.keyFile,
    channel_binding: 'require',
    // Of a clone or a rewind, which takes six trips to and fro until it is let in.
    connect_timeout: '5',
    keepalives_idle: '1',
    keepalives_interval: '1',
    keepalives_count: '3',
    tcp_user_timeout: '3000',
  };
}

/** A line of a password file for every server and database (manual, section 34.16). */
export function passfileLine(login: Login): string {
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  return `*:*:*:${escaped(login.name)}:${escaped(login.password)}\n`;
}

/** A password file with which nobody gets in anywhere. */
export const NO_PASSWORDS = '# Matriarch: this member follows nobody.\n';
