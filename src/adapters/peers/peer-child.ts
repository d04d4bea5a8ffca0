import { once } from 'node:events';
import { createApiServer } from '../http/api-server.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import type { PeerAddress } from './outgoing-link.ts';
import { createPeerLinks } from './peer-links.ts';

/** What peer-links.test.ts tells its child first. */
export interface PeerChildOrder {
  readonly self: string;
  readonly port: number;
  readonly socketPath: string;
  readonly tls: TlsIdentity;
  readonly peers: readonly (readonly [string, PeerAddress])[];
}

// A member in a process of its own, for peer-links.test.ts: it can be stopped and killed. It returns every message to its sender.
const [order] = (await once(process, 'message')) as [PeerChildOrder];
const links = createPeerLinks({
  self: order.self,
  tls: order.tls,
  onMessage: (from, json) => links.send(from, { echo: json }),
  onLost: () => {},
});
const server = createApiServer({
  host: '127.0.0.1',
  port: order.port,
  socketPath: order.socketPath,
  tls: order.tls,
  routes: [],
  onUpgrade: links.accept,
  onError: (error) => {
    throw error;
  },
});
const { port } = await server.start();
links.setPeers(new Map(order.peers));
process.send?.({ port });
process.once('disconnect', () => process.exit());
