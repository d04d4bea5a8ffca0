import type { ConnectionOptions } from 'node:tls';
import type { ProxySource } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { ServerAddress } from '#domain/ports/topology.ts';
import { readPasswordFile } from '../files/read-password-file.ts';
import { readTlsText } from '../tls/read-tls-text.ts';
import { askRole, PlainRoles } from './plain-roles.ts';
import { PlainServer } from './plain-server.ts';
import { PlainTopology, type PlainTopologyOptions } from './plain-topology.ts';

export type PlainSource = Extract<ProxySource, { kind: 'servers' }>;

/** SQLSTATEs of a login that will not be let in by waiting: the role, its rights, the database. */
const DENIED = /^(28|42501|3D)/;

/**
 * Servers without agents. Resolves when each has been asked once. Errors: `config.exposed`, `disk.…`, `proxy.rolesUnreadable`, and
 * `proxy.serversUnreachable` when a server refuses the login.
 */
export async function openPlainServers(source: PlainSource, log: PlainTopologyOptions['log']) {
  const { user, database, connectMs, answerMs, passwordFile } = source;
  const password = passwordFile === undefined ? {} : { password: readPasswordFile(passwordFile, 'source.passwordFile') };
  tlsOf(source);
  const login = { user, database, connectMs, answerMs, tls: () => tlsOf(source), ...password };
  const servers = source.servers.map((text) => new PlainServer(addressOf(text), login));
  const topology = new PlainTopology({ servers, askEveryMs: source.askEveryMs, log });
  const roles = new PlainRoles(() => {
    const primary = topology.view.primary?.name;
    return servers.toSorted((a, b) => Number(b.address.name === primary) - Number(a.address.name === primary));
  });
  await topology.firstLook;
  try {
    await refuseBlindness(servers, source);
  } catch (error) {
    await topology.close();
    throw error;
  }
  const capacity = () => servers.find(({ address }) => address.name === topology.view.primary?.name)?.capacity ?? null;
  return { topology, roles, capacity };
}

/** A proxy that can let nobody in says so at its start. Servers that do not answer at all may come later. */
async function refuseBlindness(servers: readonly PlainServer[], { user, database }: PlainSource): Promise<void> {
  const denied = servers.find(({ refusal }) => refusal !== undefined && DENIED.test(refusal));
  if (denied !== undefined) fail('proxy.serversUnreachable', `${denied.address.name}: ${denied.trouble}`);
  const asked = servers.find(({ trouble }) => trouble === undefined);
  if (asked !== undefined) await askRole(asked, user, database);
}

function addressOf(text: string): ServerAddress {
  const colon = text.lastIndexOf(':');
  return { name: text, host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

/** As libpq's `sslmode` of that name (manual, section 34.19.1). Errors: `tls.invalid`. */
function tlsOf({ tls }: PlainSource): ConnectionOptions | false {
  if (tls.mode === 'disable') return false;
  const cert = tls.certificateFile === undefined ? {} : { cert: readTlsText(tls.certificateFile) };
  const key = tls.keyFile === undefined ? {} : { key: readTlsText(tls.keyFile) };
  const ca = tls.caFile === undefined ? {} : { ca: readTlsText(tls.caFile) };
  if (tls.mode === 'require') return { rejectUnauthorized: false, ...cert, ...key };
  return { ...ca, ...cert, ...key, checkServerIdentity: () => undefined };
}
