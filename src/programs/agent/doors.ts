import { createApiServer } from '#adapters/http/api-server.ts';
import type { PeerLinks } from '#adapters/peers/peer-links.ts';
import type { PostgresServer } from '#adapters/postgres/postgres-server.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentFace } from './agent-face.ts';
import type { AgentLog } from './agent-log.ts';
import { startPatroniDoor } from './patroni/patroni-door.ts';
import { peerRoutes } from './patroni/patroni-routes.ts';
import { PatroniWorld } from './patroni/patroni-world.ts';
import type { ProxyDesk } from './proxy-desk.ts';
import { routes, type Served } from './routes.ts';

export interface DoorsOptions {
  readonly config: MemberConfig;
  readonly socketPath: string;
  /** The certificate that is in use at this moment. */
  readonly identity: () => TlsIdentity;
  readonly served: Served;
  readonly server: PostgresServer;
  readonly face: AgentFace;
  readonly links: PeerLinks;
  readonly proxies: ProxyDesk;
  readonly log: AgentLog;
}

export interface Doors {
  /** For connections from now on. */
  setIdentity(tls: TlsIdentity): void;
  close(): Promise<void>;
}

/** Where an agent is asked: its own API, and the port that answers as Patroni does. Errors: `port.taken`, `config.exposed`, … */
export async function openDoors(options: DoorsOptions): Promise<Doors> {
  const { config, socketPath, identity, served, server, face, links, proxies, log } = options;
  const patroni = new PatroniWorld({ ...served, config, identity, server, log, storeSeenAtMs: () => face.storeSeenAtMs });
  const api = createApiServer({
    ...config.api,
    socketPath,
    tls: identity(),
    routes: [...routes(served), ...peerRoutes(patroni)],
    onUpgrade: (socket, head, from) => links.accept(socket, head, from),
    onProxy: (socket, head, isLocal) => proxies.accept(socket, head, isLocal),
    onError: (error) => log.error('api', String((error as Error).stack ?? error)),
  });
  await api.start();
  const door = await startPatroniDoor(patroni);
  return {
    setIdentity(tls) {
      api.setIdentity(tls);
      door?.setIdentity(tls);
    },
    async close() {
      await Promise.all([api.stop(), door?.stop()]);
    },
  };
}
