import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ProxySource } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { ServerAddress } from '#domain/ports/topology.ts';
import { toDiskError } from '../files/disk-errors.ts';
import { readPasswordFile } from '../files/read-password-file.ts';
import { PlainRoles } from './plain-roles.ts';
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
  const roles = new PlainRoles({
    servers: () => {
      const primary = topology.view.primary?.name;
      return servers.toSorted((a, b) => Number(b.address.name === primary) - Number(a.address.name === primary));
    },
  });
  await topology.firstLook;
  try {
    await refuseBlindness(servers, roles, source);
  } catch (error) {
    await topology.close();
    throw error;
  }
  return { topology, roles };
}

/** A proxy that can let nobody in says so at its start. Servers that do not answer at all may come later. */
async function refuseBlindness(
  servers: readonly PlainServer[],
  roles: PlainRoles,
  { user, database }: PlainSource,
): Promise<void> {
  const denied = servers.find(({ refusal }) => refusal !== undefined && DENIED.test(refusal));
  if (denied !== undefined) fail('proxy.serversUnreachable', `${denied.address.name}: ${denied.trouble}`);
  if (servers.some(({ trouble }) => trouble === undefined)) await roles.lookup(user, database, { fresh: true });
}

function addressOf(text: string): ServerAddress {
  const colon = text.lastIndexOf(':');
  return { name: text, host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) };
}

/** As libpq's `sslmode` of that name (manual, section 34.19.1). Errors: `disk.…`. */
function tlsOf({ tls }: PlainSource): ConnectionOptions | false {
  if (tls.mode === 'disable') return false;
  const cert = tls.certificateFile === undefined ? {} : { cert: read(tls.certificateFile) };
  const key = tls.keyFile === undefined ? {} : { key: read(tls.keyFile) };
  const ca = tls.caFile === undefined ? {} : { ca: read(tls.caFile) };
  if (tls.mode === 'require') return { rejectUnauthorized: false, ...cert, ...key };
  return { ...ca, ...cert, ...key, checkServerIdentity: () => undefined };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw toDiskError(error, path);
  }
}
