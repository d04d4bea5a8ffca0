import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RoleFacts } from '#domain/ports/roles.ts';
import { FrameReader } from '../peers/frames.ts';
import { openAgentTopology } from './agent-topology.ts';
import type { AgentView } from './messages.ts';
import { ProxyLinks } from './proxy-links.ts';

// Either end against a hand-made other one: what a dead, a strange and a newer other end does.

const VIEW: AgentView = {
  kind: 'view',
  member: 'n1',
  role: 'primary',
  serves: true,
  epoch: 3,
  leader: 'n1',
  timeline: 2,
  holding: false,
  members: [{ name: 'n1', host: '127.0.0.1', port: 5432, api: '127.0.0.1:5532' }],
  maxConnections: 100,
  reservedConnections: 5,
};
const FACTS: RoleFacts = {
  role: 'app',
  canLogin: true,
  superuser: false,
  replication: false,
  verifier: 'md5x',
  validUntilMs: null,
  connectionLimit: -1,
  database: null,
  digest: 'd',
  byCertificate: false,
};

let folder: string;
let server: Server;
const sockets = new Set<Socket>();
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-proxy-'));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  server.close();
  await once(server, 'close');
  rmSync(folder, { recursive: true, force: true });
});

async function listen(onConnection: (socket: Socket) => void): Promise<string> {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  const path = join(folder, 's');
  server.listen(path);
  await once(server, 'listening');
  return path;
}

/** The messages that come over a socket, one after the other; null when it has ended. */
function reader(socket: Socket): () => Promise<Record<string, unknown> | null> {
  const frames = new FrameReader();
  const messages: (Record<string, unknown> | null)[] = [];
  let wake = Promise.withResolvers<void>();
  socket.on('data', (chunk) => {
    messages.push(...(frames.read(chunk) ?? []).map((line) => JSON.parse(line)));
    wake.resolve();
  });
  socket.once('close', () => {
    messages.push(null);
    wake.resolve();
  });
  return async () => {
    while (messages.length === 0) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
    return messages.shift() ?? null;
  };
}

describe('An agent', () => {
  async function openLinks(lookup: (role: string) => Promise<RoleFacts | null>) {
    let view = VIEW;
    const links = new ProxyLinks({ view: () => view, lookup });
    const path = await listen((socket) => links.accept(socket, Buffer.alloc(0), true));
    const dial = async () => {
      const socket = connect(path);
      socket.on('error', () => {});
      await once(socket, 'connect');
      const next = reader(socket);
      const say = (json: unknown) => socket.write(`${JSON.stringify(json)}\n`);
      /** Beats are passed over. */
      const hear = async (kind: string) => {
        for (;;) {
          const message = await next();
          if (message === null || message.kind === kind) return message;
        }
      };
      return { socket, next, say, hear };
    };
    const change = (next: Partial<AgentView>) => {
      view = { ...view, ...next };
      links.changed();
    };
    return { links, dial, change };
  }

  test('says how things are, and every change once', async () => {
    const { dial, change } = await openLinks(async () => null);
    const { next } = await dial();
    expect(await next()).toEqual(VIEW);
    change({});
    change({ holding: true });
    expect(await next()).toEqual({ ...VIEW, holding: true });
  });

  test('speaks at least every second, and gives up who never does', async () => {
    const { links, dial } = await openLinks(async () => null);
    const { next } = await dial();
    let heard = 0;
    for (let message = await next(); message !== null; message = await next()) heard += 1;
    expect(heard).toBeGreaterThanOrEqual(3);
    await expect.poll(() => links.count).toBe(0);
  });

  test('answers questions, passes over what it does not know, and ends a link of rubbish', async () => {
    const { dial } = await openLinks(async (role) => (role === 'app' ? FACTS : Promise.reject(new Error('no answer'))));
    const { say, hear, socket } = await dial();
    say({ kind: 'fromTheFuture', id: 1 });
    say({ kind: 'lookup', id: 'x' });
    say({ kind: 'lookup', id: 1, role: 'app', database: 'd', more: true });
    expect(await hear('role')).toEqual({ kind: 'role', id: 1, facts: FACTS });
    say({ kind: 'lookup', id: 2, role: 'other', database: 'd' });
    expect(await hear('role')).toEqual({ kind: 'role', id: 2, error: 'no answer' });
    socket.write('rubbish\n');
    expect(await hear('role')).toBeNull();
  });

  test('answers a bounded number of questions at once', async () => {
    const answer = Promise.withResolvers<null>();
    const { dial } = await openLinks(() => answer.promise);
    const { say, hear } = await dial();
    for (let id = 1; id <= 129; id++) say({ kind: 'lookup', id, role: 'r', database: 'd' });
    expect(await hear('role')).toEqual({ kind: 'role', id: 129, error: 'too many questions at once' });
    answer.resolve(null);
    expect(await hear('role')).toEqual({ kind: 'role', id: 1, facts: null });
  });

  test('waits for every proxy, for one that comes meanwhile too, and for none that is gone', async () => {
    const { links, dial } = await openLinks(async () => null);
    const [a, b] = [await dial(), await dial()];
    for (const { next } of [a, b]) await next();
    const held = links.hold(600_000, new AbortController().signal);
    let over = false;
    void held.then(() => {
      over = true;
    });
    const [ofA, ofB] = [await a.hear('hold'), await b.hear('hold')];
    const c = await dial();
    expect(await c.hear('hold')).toEqual(ofA);
    a.say({ kind: 'drained', id: ofA?.id });
    b.say({ kind: 'drained', id: Number(ofB?.id) + 1 });
    b.say({ kind: 'lookup', id: 1, role: 'r', database: 'd' });
    await b.hear('role');
    expect(over).toBe(false);
    b.socket.destroy();
    c.say({ kind: 'drained', id: ofA?.id });
    expect(await held).toBe(0);
  });

  test('waits no longer than it may, or is told to', async () => {
    const { links, dial } = await openLinks(async () => null);
    const { next } = await dial();
    await next();
    expect(await links.hold(10, new AbortController().signal)).toBe(1);
    expect(await links.hold(600_000, AbortSignal.timeout(10))).toBe(1);
  });
});

describe('A proxy', () => {
  /** An agent of which the test says every word. */
  async function openProxy(onMessage: (message: Record<string, unknown>, say: (json: unknown) => void) => void) {
    const connected: ((json: unknown) => void)[] = [];
    let wake = Promise.withResolvers<void>();
    const path = await listen((socket) => {
      const say = (json: unknown) => socket.write(`${JSON.stringify(json)}\n`);
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n');
        const next = reader(socket);
        void (async () => {
          for (let message = await next(); message !== null; message = await next()) onMessage(message, say);
        })();
        connected.push(say);
        wake.resolve();
      });
    });
    const topology = openAgentTopology({ agents: [{ name: 'n1', socketPath: path }], tls: () => undefined, log: () => {} });
    const link = async () => {
      while (connected.length === 0) {
        await wake.promise;
        wake = Promise.withResolvers<void>();
      }
      return connected.shift() as (json: unknown) => void;
    };
    const changed = () =>
      new Promise<void>((resolve) => {
        const unsubscribe = topology.subscribe(() => {
          unsubscribe();
          resolve();
          return undefined;
        });
      });
    return { topology, link, changed };
  }

  test('gives up an agent that says nothing, believes what it last said, and dials it again', async () => {
    const { topology, link, changed } = await openProxy(() => {});
    const say = await link();
    const heard = changed();
    say({ kind: 'fromTheFuture' });
    say({ ...VIEW, more: 1 });
    await heard;
    const { view } = topology;
    expect(view).toMatchObject({ epoch: 3, primary: { name: 'n1' } });
    await link();
    expect(topology.linked).toEqual([]);
    expect(topology.view).toBe(view);
    await topology.close();
  });

  test('listens to no other member than the one that it looks for', async () => {
    const { topology, link } = await openProxy(() => {});
    (await link())({ ...VIEW, member: 'n2', leader: 'n2' });
    await link();
    expect(topology.view.primary).toBeNull();
    await topology.close();
  });

  test('says drained when its listeners are done, and not before', async () => {
    const said: unknown[] = [];
    const { topology, link, changed } = await openProxy((message, say) => {
      if (message.kind === 'beat') return;
      said.push(message);
      if (message.kind === 'lookup') say({ kind: 'role', id: message.id, error: 'not now' });
    });
    const say = await link();
    const heard = changed();
    say(VIEW);
    await heard;
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    topology.subscribe(({ holding }) => (holding ? first.promise : undefined));
    topology.subscribe(({ holding }) => (holding ? second.promise : undefined));
    const holding = changed();
    say({ ...VIEW, holding: true });
    say({ kind: 'hold', id: 7 });
    await holding;
    first.resolve();
    // A question is answered over the same link: it came later.
    await expect(topology.lookup('app', 'd', { fresh: true })).rejects.toMatchObject({ code: 'proxy.rolesUnknown' });
    expect(said).toMatchObject([{ kind: 'lookup' }]);
    second.resolve();
    await expect.poll(() => said).toMatchObject([{ kind: 'lookup' }, { kind: 'drained', id: 7 }]);
    await topology.close();
  });

  test('answers a hold of who is not the primary at once: nothing runs there', async () => {
    const drained = Promise.withResolvers<unknown>();
    const { topology, link } = await openProxy((message) => message.kind === 'drained' && drained.resolve(message));
    const say = await link();
    topology.subscribe(() => new Promise(() => {}));
    say({ ...VIEW, serves: false, leader: 'n2' });
    say({ kind: 'hold', id: 8 });
    expect(await drained.promise).toEqual({ kind: 'drained', id: 8 });
    await topology.close();
  });

  test('remembers roles, and forgets nobody for an answer that does not come', async () => {
    let answers = true;
    const { topology, link, changed } = await openProxy(({ kind, id, role }, say) => {
      if (kind === 'lookup' && answers) say({ kind: 'role', id, facts: role === 'app' ? FACTS : null });
      else if (kind === 'lookup') say({ kind: 'role', id, error: 'the server did not answer' });
    });
    const heard = changed();
    (await link())(VIEW);
    await heard;
    const found = await topology.lookup('app', 'd', { fresh: false });
    expect(found).toEqual(FACTS);
    expect(await topology.lookup('app', 'd', { fresh: true })).toEqual(found);
    expect(await topology.lookup('nobody', 'd', { fresh: false })).toBeNull();
    answers = false;
    expect(await topology.lookup('app', 'd', { fresh: false })).toEqual(found);
    expect(await topology.lookup('nobody', 'd', { fresh: false })).toBeNull();
    const unknown = { code: 'proxy.rolesUnknown', message: expect.stringContaining('n1: the server did not answer') };
    await expect(topology.lookup('app', 'd', { fresh: true })).rejects.toMatchObject(unknown);
    await expect(topology.lookup('third', 'd', { fresh: false })).rejects.toMatchObject(unknown);
    await topology.close();
  });
});
