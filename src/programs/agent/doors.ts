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
import { routes, type Served } from './routes.ts';

export interface DoorsOptions {
  readonly config: MemberConfig;
  readonly socketPath: string;
  readonly tls: TlsIdentity;
  readonly served: Served;
  readonly server: PostgresServer;
  readonly face: AgentFace;
  readonly links: PeerLinks;
  readonly log: AgentLog;
}

/** Where an agent is asked: its own API, and the port that answers as Patroni does. Errors: `port.taken`, `config.exposed`, … */
export async function openDoors(options: DoorsOptions): Promise<{ close(): Promise<void> }> {
  const { config, socketPath, tls, served, server, face, links, log } = options;
  const patroni = new PatroniWorld({ ...served, config, tls, server, log, storeSeenAtMs: () => face.storeSeenAtMs });
  const api = createApiServer({
    ...config.api,
    socketPath,
    tls,
    routes: [...routes(served), ...peerRoutes(patroni)],
    onUpgrade: (socket, head, from) => links.accept(socket, head, from),
    onError: (error) => log.error('api', String((error as Error).stack ?? error)),
  });
  await api.start();
  const door = await startPatroniDoor(patroni);
  return {
    async close() {
      await Promise.all([api.stop(), door?.stop()]);
    },
  };
}
