import { openPlainServers } from '#adapters/plain-servers/open-plain-servers.ts';
import type { AgentTarget } from '#adapters/proxy-link/agent-link.ts';
import { openAgentTopology } from '#adapters/proxy-link/agent-topology.ts';
import { readTlsText } from '#adapters/tls/read-tls-text.ts';
import type { ProxySource } from '#domain/config/proxy-config.ts';
import type { Roles } from '#domain/ports/roles.ts';
import type { Topology } from '#domain/ports/topology.ts';
import { openFolder } from '#programs/cli/cluster-folder.ts';
import type { ProxyLog, ServerTls } from './proxy.ts';
import { FollowedIdentity } from './proxy-identity.ts';

/** Where a proxy learns everything that it does not decide. */
export interface OpenSource {
  readonly topology: Topology;
  readonly roles: Roles;
  /** Read for every connection to a server over TCP. */
  readonly serverTls: () => ServerTls | null;
  /** Connections that the primary has for ordinary roles; null while that is not known. */
  readonly capacity: () => number | null;
  close(): Promise<void>;
}

/** Hears what the configuration of the cluster says of its proxies, where there is one. */
type OnSettings = (settings: Readonly<Record<string, unknown>>) => void;

/** Errors: `config.exposed`, `disk.…`, `tls.invalid`, `cluster.…`, `proxy.…`. */
export async function openSource(source: ProxySource, log: ProxyLog, onSettings: OnSettings): Promise<OpenSource> {
  switch (source.kind) {
    case 'servers':
      return await openServers(source, log);
    case 'cluster': {
      const { paths, members } = await openFolder(source.dir);
      const targets = members.map(({ name }) => ({ name, socketPath: paths.member(name).socket }));
      return await openAgents({ targets, tlsDir: paths.proxy, byTls: false }, log, onSettings);
    }
    case 'agents':
      return await openAgents({ targets: source.agents.map(targetOf), tlsDir: source.tlsDir, byTls: true }, log, onSettings);
  }
}

interface Agents {
  readonly targets: readonly AgentTarget[];
  readonly tlsDir: string;
  readonly byTls: boolean;
}

async function openAgents({ targets, tlsDir, byTls }: Agents, log: ProxyLog, onSettings: OnSettings): Promise<OpenSource> {
  const identity = await FollowedIdentity.read(tlsDir, log);
  const topology = openAgentTopology({
    agents: targets,
    tls: () => (byTls ? identity.agents : undefined),
    log: (line) => log.info({ part: 'agents' }, line),
    onSettings,
  });
  return {
    topology,
    roles: topology,
    serverTls: () => identity.serverTls,
    capacity() {
      const { capacity } = topology;
      return capacity === null ? null : capacity.maxConnections - capacity.reservedConnections;
    },
    async close() {
      identity.close();
      await topology.close();
    },
  };
}

async function openServers(source: Extract<ProxySource, { kind: 'servers' }>, log: ProxyLog): Promise<OpenSource> {
  const part = { part: 'servers' };
  const { topology, roles, capacity } = await openPlainServers(source, {
    info: (text) => log.info(part, text),
    warn: (text) => log.warn(part, text),
    error: (text) => log.error(part, text),
  });
  const { mode, caFile, certificateFile, keyFile } = source.tls;
  const serverTls = (): ServerTls | null => {
    if (mode === 'disable') return null;
    return {
      ...(caFile === undefined || mode === 'require' ? {} : { ca: readTlsText(caFile) }),
      ...(certificateFile === undefined ? {} : { certificate: readTlsText(certificateFile) }),
      ...(keyFile === undefined ? {} : { key: readTlsText(keyFile) }),
    };
  };
  return { topology, roles, serverTls, capacity, close: () => topology.close() };
}

/** `NAME=HOST:PORT`, as the schema has it. */
function targetOf(text: string): AgentTarget {
  const [name = '', address = ''] = text.split('=');
  const colon = address.lastIndexOf(':');
  return { name, host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}
