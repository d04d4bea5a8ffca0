import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '#simulation/random.ts';
import { cancelRequest, query } from '#wire/encode-frontend.ts';
import { int32 } from '#wire/frame.ts';
import type { PlainServer } from '../support/plain-server.ts';
import { RawClient } from '../support/raw-client.ts';
import type { SoakWorld } from './soak-client.ts';

/** Mean time between two of them. */
const PAUSE_MS = 25;
const SILENT_MS = 200;
/** The rest: lost servers, whose moment decides what they break. */
const OTHERS_SHARE = 0.3;
const HALF_OPEN = 20;

interface Place {
  readonly world: SoakWorld;
  readonly server: PlainServer;
  readonly random: Random;
  /** Sockets that say nothing more; the oldest goes when there are too many. */
  readonly silent: Socket[];
}

const FAULTS: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  terminated: async ({ world, server }) => {
    await server.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE usename = '${world.login.user}' AND backend_type = 'client backend' ORDER BY random() LIMIT 1`,
    );
  },
  'flood of cancels': async ({ world, random }) => {
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const secret = Buffer.from(int32(random.below(2 ** 31)));
        await speak(world, cancelRequest(random.below(2 ** 31), secret));
      }),
    );
  },
  'storm of connections': async ({ world }) => {
    const arrive = async () => {
      const client = await RawClient.connect(world.login).catch(() => undefined);
      client?.destroy();
    };
    await Promise.all(Array.from({ length: 30 }, arrive));
  },
  'rubbish before login': ({ world, random }) => speak(world, rubbish(random)),
  'a huge startup': ({ world }) => speak(world, Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0])),
  'a negative length': ({ world }) => speak(world, Buffer.from([0xff, 0xff, 0xff, 0xff])),
  'rubbish after login': ({ world, random }) => speakLoggedIn(world, rubbish(random)),
  'a huge length': ({ world }) => speakLoggedIn(world, Buffer.from([0x51, 0x7f, 0xff, 0xff, 0xff, 0x53])),
  'half open': async ({ world, silent }) => {
    const socket = connect({ host: world.login.host, port: world.login.port });
    socket.on('error', () => {});
    socket.write(Buffer.from([0, 0]));
    silent.push(socket);
    if (silent.length > HALF_OPEN) silent.shift()?.destroy();
  },
  'a client that never reads': async ({ world, silent }) => {
    const client = await RawClient.connect(world.login).catch(() => undefined);
    if (client === undefined) return;
    client.socket.pause();
    client.send(query("SELECT repeat('v', 1000) FROM generate_series(1, 50000)"));
    silent.push(client.socket);
    if (silent.length > HALF_OPEN) silent.shift()?.destroy();
  },
};

/** One after the other, until `signal`. */
export async function disturb(server: PlainServer, world: SoakWorld, random: Random, signal: AbortSignal): Promise<void> {
  const place: Place = { world, server, random, silent: [] };
  while (!signal.aborted) {
    const name = random.chance(OTHERS_SHARE) ? random.pick(Object.keys(FAULTS)) : 'terminated';
    await FAULTS[name]?.(place);
    world.counts.set(`fault: ${name}`, (world.counts.get(`fault: ${name}`) ?? 0) + 1);
    await sleep(random.below(2 * PAUSE_MS), undefined, { signal }).catch(() => {});
  }
  for (const socket of place.silent) socket.destroy();
}

function rubbish(random: Random): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(3000) }, () => random.below(256)));
}

const PATIENCE_MS = 2000;

/** Says it, and leaves when the other side has, or does nothing about it. */
async function speak({ login }: SoakWorld, bytes: Buffer): Promise<void> {
  const socket = connect({ host: login.host, port: login.port });
  socket.on('error', () => {});
  socket.resume();
  socket.write(bytes);
  await Promise.race([once(socket, 'close').catch(() => {}), sleep(SILENT_MS)]);
  socket.destroy();
}

async function speakLoggedIn({ login }: SoakWorld, bytes: Buffer): Promise<void> {
  const client = await RawClient.connect(login).catch(() => undefined);
  if (client === undefined) return;
  client.send(bytes);
  await Promise.race([once(client.socket, 'close').catch(() => {}), sleep(PATIENCE_MS)]);
  client.destroy();
}
