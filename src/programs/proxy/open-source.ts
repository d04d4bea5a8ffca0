import { readFileSync } from 'node:fs';
import type { ApiTarget } from '#adapters/http/call-api.ts';
import { openPlainServers } from '#adapters/plain-servers/open-plain-servers.ts';
import type { ProxySource } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { Roles } from '#domain/ports/roles.ts';
import type { Topology } from '#domain/ports/topology.ts';
import type { ProxyLog, ServerTls } from './proxy.ts';

/** Where a proxy learns everything that it does not decide. */
export interface OpenSource {
  readonly topology: Topology;
  readonly roles: Roles;
  /** Read for every connection to a server over TCP. */
  readonly serverTls: () => ServerTls | null;
  /** The agents that know the configuration of the cluster; none where there is none. */
  readonly agents: () => readonly ApiTarget[];
}

/** Errors: `config.exposed`, `disk.…`, `tls.invalid`, `cluster.notFound`, `proxy.…`. */
export async function openSource(source: ProxySource, log: ProxyLog): Promise<OpenSource> {
  switch (source.kind) {
    case 'servers':
      return await openServers(source, log);
    default:
      return fail('internal.bug', `the source ${source.kind} is not there yet`);
  }
}

async function openServers(source: Extract<ProxySource, { kind: 'servers' }>, log: ProxyLog): Promise<OpenSource> {
  const part = { part: 'servers' };
  const { topology, roles } = await openPlainServers(source, {
    info: (text) => log.info(part, text),
    warn: (text) => log.warn(part, text),
    error: (text) => log.error(part, text),
  });
  const { tls } = source;
  const serverTls = (): ServerTls | null => {
    if (tls.mode === 'disable') return null;
    return {
      ...(tls.caFile === undefined || tls.mode === 'require' ? {} : { ca: readFileSync(tls.caFile, 'utf8') }),
      ...(tls.certificateFile === undefined ? {} : { certificate: readFileSync(tls.certificateFile, 'utf8') }),
      ...(tls.keyFile === undefined ? {} : { key: readFileSync(tls.keyFile, 'utf8') }),
    };
  };
  return { topology, roles, serverTls, agents: () => [] };
}
