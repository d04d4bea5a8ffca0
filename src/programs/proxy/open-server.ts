import { type Credential, connectServer } from './connect-server.ts';
import { PreparedOnServer } from './prepared-on-server.ts';
import type { ProxyWorld } from './proxy-world.ts';
import { ServerConnection } from './server-connection.ts';

export interface ServerWanted {
  readonly role: string;
  readonly database: string;
  readonly credential: Credential;
  readonly signature: string;
  /** Of its startup. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly onClosed: (server: ServerConnection, why: string) => void;
}

/** A connection to whoever is the primary now. Rejects as `connectServer` does, and when there is no primary. */
export async function openServer(world: ProxyWorld, wanted: ServerWanted): Promise<ServerConnection> {
  const { primary, epoch } = world.view;
  if (primary === null) throw new Error('there is no primary');
  const now = performance.now();
  const made = await connectServer({
    ...wanted,
    address: primary,
    tls: world.serverTls(),
    connectTimeoutMs: world.config.timeouts.connectMs,
    signal: world.outdated,
  });
  const { signature, onClosed } = wanted;
  const events = { onClosed };
  const server = new ServerConnection({
    ...made,
    epoch,
    now,
    address: primary,
    signature,
    prepared: new PreparedOnServer(),
    events,
  });
  made.handTo((bytes, length) => server.receive(bytes, length));
  world.measure(server);
  return server;
}
