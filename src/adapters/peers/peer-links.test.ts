import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ApiServer, createApiServer } from '../http/api-server.ts';
import { createAuthority, issueCertificate } from '../tls/authority.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { FrameReader } from './frames.ts';
import type { PeerAddress } from './outgoing-link.ts';
import type { PeerChildOrder } from './peer-child.ts';
import { createPeerLinks, type PeerLinks } from './peer-links.ts';

const identities = new Map<string, TlsIdentity>();
beforeAll(async () => {
  const authority = await createAuthority({ cluster: 'herd' });
  for (const name of ['n1', 'n2', 'n3']) {
    identities.set(name, { ca: authority.certificate, ...(await issueCertificate(authority, { name, hosts: ['127.0.0.1'] })) });
  }
});

function identityOf(name: string): TlsIdentity {
  const identity = identities.get(name);
  if (identity === undefined) throw new Error(`no certificate of ${name}`);
  return identity;
}

interface Member {
  readonly name: string;
  readonly links: PeerLinks;
  readonly address: PeerAddress;
  readonly received: { readonly from: string; readonly json: unknown }[];
  readonly lost: string[];
  readonly server: ApiServer;
}

let folder: string;
const members: Member[] = [];
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-peers-'));
});
afterEach(async () => {
  for (const member of members.splice(0)) await stop(member);
  await Promise.all(children.splice(0).map(kill));
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

async function start(name: string, port = 0): Promise<Member> {
  const received: Member['received'] = [];
  const lost: string[] = [];
  const links = createPeerLinks({
    self: name,
    tls: identityOf(name),
    onMessage: (from, json) => received.push({ from, json }),
    onLost: (peer) => lost.push(peer),
  });
  const server = createApiServer({
    host: '127.0.0.1',
    port,
    socketPath: join(folder, `${name}.sock`),
    tls: identityOf(name),
    routes: [],
    onUpgrade: links.accept,
    onError: (error) => {
      throw error;
    },
  });
  const address = { host: '127.0.0.1', port: (await server.start()).port };
  const member = { name, links, address, received, lost, server };
  members.push(member);
  return member;
}

async function stop(member: Member): Promise<void> {
  member.links.close();
  await member.server.stop(AbortSignal.abort());
}

async function startChild(
  name: string,
  peers: readonly Member[],
  port = 0,
): Promise<{ child: ChildProcess; address: PeerAddress }> {
  const child = fork(new URL('./peer-child.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const addresses = peers.map((peer) => [peer.name, peer.address] as const);
  const socketPath = join(folder, `${name}.sock`);
  child.send({ self: name, port, socketPath, tls: identityOf(name), peers: addresses } satisfies PeerChildOrder);
  const [{ port: listening }] = (await once(child, 'message')) as [{ port: number }];
  return { child, address: { host: '127.0.0.1', port: listening } };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

describe('Peers', () => {
  test('send to each other, and the certificate says who it was', async () => {
    const [n1, n2, n3] = [await start('n1'), await start('n2'), await start('n3')];
    for (const member of members) {
      member.links.setPeers(new Map(members.filter((peer) => peer !== member).map((peer) => [peer.name, peer.address])));
    }
    await until(() => members.every(({ links }) => links.connected().length === 2));
    for (let number = 0; number < 50; number++) {
      expect(n1.links.send('n2', { from: 'n3', number })).toBe(true);
      expect(n3.links.send('n2', number)).toBe(true);
    }
    expect(n2.links.send('n1', 'ä😀\n')).toBe(true);
    await until(() => n2.received.length === 100 && n1.received.length === 1);
    const numbers = Array.from({ length: 50 }, (_, number) => number);
    expect(n2.received.filter(({ from }) => from === 'n1').map(({ json }) => json)).toEqual(
      numbers.map((number) => ({ from: 'n3', number })),
    );
    expect(n2.received.filter(({ from }) => from === 'n3').map(({ json }) => json)).toEqual(numbers);
    expect(n1.received).toEqual([{ from: 'n2', json: 'ä😀\n' }]);
    expect(members.flatMap(({ lost }) => lost)).toEqual([]);
  });

  test('that are not there, or unknown, get nothing and keep nothing', async () => {
    const n1 = await start('n1');
    n1.links.setPeers(new Map([['n2', { host: '127.0.0.1', port: 1 }]]));
    expect(n1.links.send('n2', 1)).toBe(false);
    expect(n1.links.send('n3', 1)).toBe(false);
    expect(n1.links.send('n1', 1)).toBe(false);
  });

  test('are not taken for one another: a member that answers under another’s address gets no link', async () => {
    const [n1, n3] = [await start('n1'), await start('n3')];
    n1.links.setPeers(new Map([['n2', n3.address]]));
    n3.links.setPeers(new Map([['n1', n1.address]]));
    await until(() => n3.links.connected().length === 1);
    expect(n1.links.connected()).toEqual([]);
  });

  test('that move are followed; those that leave are dropped', async () => {
    const n1 = await start('n1');
    const old = await start('n2');
    n1.links.setPeers(new Map([['n2', old.address]]));
    await until(() => n1.links.connected().length === 1);
    await stop(old);
    const moved = await start('n2');
    n1.links.setPeers(new Map([['n2', moved.address]]));
    await until(() => n1.links.connected().length === 1);
    n1.links.send('n2', 'hello');
    await until(() => moved.received.length === 1);
    n1.links.setPeers(new Map());
    expect(n1.links.send('n2', 'gone')).toBe(false);
  });

  test('a message larger than a frame is dropped, the link is not', async () => {
    const [n1, n2] = [await start('n1'), await start('n2')];
    n1.links.setPeers(new Map([['n2', n2.address]]));
    await until(() => n1.links.connected().length === 1);
    expect(n1.links.send('n2', 'x'.repeat(70_000))).toBe(false);
    expect(n1.links.send('n2', 'x'.repeat(65_000))).toBe(true);
    await until(() => n2.received.length === 1);
  });
});

describe('A peer in a process of its own', () => {
  test('that is killed is reported at once, and linked again when it is back', async () => {
    const n1 = await start('n1');
    const { child, address } = await startChild('n2', [n1]);
    n1.links.setPeers(new Map([['n2', address]]));
    await echo(n1, 'first');
    await kill(child);
    await until(() => n1.lost.length === 1);
    expect(n1.links.send('n2', 'lost')).toBe(false);
    await startChild('n2', [n1], address.port);
    await echo(n1, 'second');
    expect(n1.lost).toEqual(['n2']);
  });

  test('that is stopped takes a bounded number of messages, is not reported, and is linked again when it goes on', async () => {
    const n1 = await start('n1');
    const { child, address } = await startChild('n2', [n1]);
    n1.links.setPeers(new Map([['n2', address]]));
    await echo(n1, 'before');
    child.kill('SIGSTOP');
    let sent = 0;
    while (n1.links.send('n2', 'x'.repeat(10_000))) sent += 1;
    expect(sent).toBeLessThan(30);
    await until(() => n1.links.connected().length === 0);
    expect(n1.lost).toEqual([]);
    child.kill('SIGCONT');
    await echo(n1, 'after');
  });
});

test('frames are the lines that were written, however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string().map((text) => JSON.stringify(text))), fc.array(fc.nat(20)), (lines, cuts) => {
      const reader = new FrameReader();
      let bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
      const read: string[] = [];
      for (const cut of cuts) {
        read.push(...(reader.read(bytes.subarray(0, cut)) ?? ['too long']));
        bytes = bytes.subarray(cut);
      }
      read.push(...(reader.read(bytes) ?? ['too long']));
      expect(read).toEqual(lines);
    }),
  );
});

test('a frame that is too long is refused, finished or not, in one piece or many', () => {
  expect(new FrameReader(10).read(Buffer.from('0123456789\n'))).toEqual(['0123456789']);
  expect(new FrameReader(10).read(Buffer.from('01234567890\n'))).toBeNull();
  expect(new FrameReader(10).read(Buffer.from('01234567890'))).toBeNull();
  const reader = new FrameReader(10);
  expect(reader.read(Buffer.from('01234567'))).toEqual([]);
  expect(reader.read(Buffer.from('890\n'))).toBeNull();
});

/** Sends until an answer to exactly this comes back. */
async function echo(member: Member, text: string): Promise<void> {
  const isAnswered = () => member.received.some(({ json }) => (json as { echo?: unknown }).echo === text);
  await until(() => {
    if (!isAnswered()) member.links.send('n2', text);
    return isAnswered();
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
