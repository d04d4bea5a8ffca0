import { readPasswordFile } from '#adapters/files/read-password-file.ts';
import { createOpenServer, type OpenServer } from '#adapters/http/open-server.ts';
import { doorRoutes } from './patroni-routes.ts';
import type { PatroniWorld } from './patroni-world.ts';

const CLOSED =
  'This port only answers questions. To allow calls that change something, set patroniApi.authentication in the configuration of the member.\n';

/** The second port, which answers as Patroni does, where the member has one. Errors: `port.taken`, `config.exposed`, `disk.…`. */
export async function startPatroniDoor(world: PatroniWorld): Promise<OpenServer | undefined> {
  const { config, identity, log } = world.options;
  const { patroniApi } = config;
  if (patroniApi === undefined) return undefined;
  const { host, port, authentication } = patroniApi;
  const login =
    authentication === undefined
      ? undefined
      : {
          username: authentication.username,
          password: readPasswordFile(authentication.passwordFile, 'patroniApi.authentication.passwordFile'),
        };
  const door = createOpenServer({
    host,
    port,
    ...(patroniApi.tls ? { tls: identity() } : {}),
    ...(login === undefined ? {} : { login }),
    realm: 'Patroni',
    closed: { status: 403, text: CLOSED },
    routes: doorRoutes(world),
    onError: (error) => log.error('patroni', String((error as Error).stack ?? error)),
  });
  await door.start();
  log.info('patroni', `answers as Patroni does on ${patroniApi.tls ? 'https' : 'http'}://${host}:${port}`);
  return door;
}
