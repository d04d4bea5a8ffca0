// A slow wire: every byte that passes takes `delayMs`, in each direction. Run with one JSON argument, `DelayRelayOptions`; says `ready`.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface DelayRelayOptions {
  readonly delayMs: number;
  /** The user to become, whose own connections are not led through here. */
  readonly uid: number;
  readonly routes: readonly { readonly listen: number; readonly host: string; readonly port: number }[];
}

const { delayMs, uid, routes } = JSON.parse(process.argv[2] ?? '') as DelayRelayOptions;

/** In order: timers of the same length fire as they were set. */
function pass(from: Socket, to: Socket): void {
  from.setNoDelay(true);
  from.on('data', (chunk) => setTimeout(() => to.write(chunk), delayMs));
  from.on('end', () => setTimeout(() => to.end(), delayMs));
  from.on('error', () => to.destroy());
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
}

await Promise.all(
  routes.map(async ({ listen, host, port }) => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const onward = connect({ host, port, allowHalfOpen: true });
      pass(socket, onward);
      pass(onward, socket);
    });
    server.listen(listen, '0.0.0.0');
    await once(server, 'listening');
  }),
);
process.setuid?.(uid);
process.stdout.write('ready\n');
