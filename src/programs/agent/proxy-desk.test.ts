import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FrameReader } from '#adapters/peers/frames.ts';
import type { AgentView } from '#adapters/proxy-link/messages.ts';
import type { Handover, HaState, Leader } from '#core/ha/state.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { AgentLog } from './agent-log.ts';
import { leaderState, NOW, PRIMARY, standbyState } from './patroni/testing/states.ts';
import { ProxyDesk } from './proxy-desk.ts';

// What a proxy is told in each state of the core, by the messages that it gets.

let folder: string;
let server: Server;
let state: HaState;
let desk: ProxyDesk;
let next: () => Promise<AgentView>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-desk-'));
  state = leaderState();
  desk = new ProxyDesk({
    config: { name: 'n1', host: '10.0.0.1', port: 5433, api: { host: '10.0.0.1', port: 5533 } } as MemberConfig,
    socketDir: '/run/n1',
    state: () => state,
    clock: () => NOW,
    lookup: async () => null,
    log: new AgentLog('n1'),
  });
  server = createServer((socket) => desk.accept(socket, Buffer.alloc(0), false));
  server.listen(join(folder, 's'));
  await once(server, 'listening');
  const socket = connect(join(folder, 's'));
  const frames = new FrameReader();
  const views: AgentView[] = [];
  let wake = Promise.withResolvers<void>();
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    for (const message of (frames.read(chunk) ?? []).map((line) => JSON.parse(line))) {
      if (message.kind === 'view') views.push(message);
      else socket.write(`${JSON.stringify({ kind: 'drained', id: message.id })}\n`);
    }
    wake.resolve();
  });
  next = async () => {
    while (views.length === 0) {
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
    return views.shift() as AgentView;
  };
});
afterEach(async () => {
  desk.close();
  server.close();
  await once(server, 'close');
  rmSync(folder, { recursive: true, force: true });
});

/** Feeds a state, and gives what the proxy is told of it. */
async function told(change: HaState): Promise<AgentView> {
  state = change;
  desk.seen(state);
  return next();
}

const handover = (stage: Handover['stage']): Partial<Leader> => ({
  phase: 'handover',
  handover: { command: { kind: 'switchover', id: 'x' }, target: 'n2', stage, startedAt: NOW, stageAt: NOW, epoch: 0, log: null },
});
const closed: Partial<HaState> = { server: { ...PRIMARY, gateOpen: false } };

test('whoever leads and serves says so, with everybody that he knows', async () => {
  expect(await next()).toMatchObject({
    member: 'n1',
    role: 'primary',
    serves: true,
    epoch: 7,
    leader: 'n1',
    timeline: 3,
    holding: false,
  });
  const limits = { ...PRIMARY.notes, maxConnections: 50, reservedConnections: 3 } as NonNullable<typeof PRIMARY.notes>;
  const view = await told(leaderState({ server: { ...PRIMARY, notes: limits } }));
  expect(view).toMatchObject({ maxConnections: 50, reservedConnections: 3 });
  expect(view.members.map(({ name, api }) => `${name} ${api}`)).toEqual([
    'n1 10.0.0.1:5533',
    'n2 10.0.0.1:5534',
    'n3 10.0.0.1:5535',
  ]);
  expect(view).not.toHaveProperty('socketDir');
});

test.each<[string, HaState]>([
  ['a standby', standbyState()],
  ['a leader behind the closed gate', leaderState(closed, { phase: 'gating' })],
  ['a leader that was fenced', leaderState({}, { fenced: true })],
  ['a leader whose server has ended', leaderState({ server: null }, { phase: 'ended' })],
  ['a leader that has promised itself to another', leaderState({ promise: 8 })],
  ['a leader whose proof has run out', leaderState({ peers: {} })],
  ['a leader whose server stops for its successor', leaderState(closed, handover('stopping'))],
])('%s does not serve', async (_, change) => {
  await next();
  expect(await told(change)).toMatchObject({ serves: false });
});

test.each<Handover['stage']>(['closing', 'draining'])('what runs may end while a switchover is %s', async (stage) => {
  await next();
  state = leaderState({}, handover('checkpoint'));
  await desk.holdForHandover();
  expect(await next()).toMatchObject({ serves: true, holding: true });
  state = leaderState(closed, handover(stage));
  // Nothing has changed for a proxy, so nothing is said; a switchover that is called off is.
  desk.seen(state);
  expect(await told(leaderState())).toMatchObject({ serves: true, holding: false });
});

test('a hold ends with what it was for', async () => {
  await next();
  const work = Promise.withResolvers<string>();
  const done = desk.holdDuring(() => work.promise);
  expect(await next()).toMatchObject({ holding: true });
  work.resolve('restarted');
  expect(await done).toBe('restarted');
  expect(await next()).toMatchObject({ holding: false });
  await expect(desk.holdDuring(() => Promise.reject(new Error('refused')))).rejects.toThrow('refused');
  expect([(await next()).holding, (await next()).holding]).toEqual([true, false]);
});

test('a switchover that begins during a restart goes on holding when that has ended', async () => {
  await next();
  const work = Promise.withResolvers<void>();
  const restart = desk.holdDuring(() => work.promise);
  expect(await next()).toMatchObject({ holding: true });
  state = leaderState({}, handover('closing'));
  await desk.holdForHandover();
  work.resolve();
  await restart;
  expect(await told(standbyState({ record: leaderState().record }))).toMatchObject({ role: 'standby', holding: false });
});
