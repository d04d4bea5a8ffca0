import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type IncomingMessage, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OpenServer } from '#adapters/http/open-server.ts';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { HaState } from '#core/ha/state.ts';
import { fail } from '#domain/errors.ts';
import type { Store } from '#domain/ports/store.ts';
import { ConfigChecker } from '#programs/config-check/config-checker.ts';
import { freePorts } from '../../../../test/support/patroni-ports.ts';
import { startPatroniDoor } from './patroni-door.ts';
import { PatroniWorld, type PatroniWorldOptions } from './patroni-world.ts';
import { leaderState, NOW, RECORD, standbyState } from './testing/states.ts';

type PatroniApi = NonNullable<PatroniWorldOptions['config']['patroniApi']>;

let tls: TlsIdentity;
let checker: ConfigChecker;
let folder: string;
let store: Store;
let port: number;
let state: HaState;
let door: OpenServer | undefined;
let commands: { readonly kind: string }[];
let command: PatroniWorldOptions['command'];
let reloads: unknown[];
let logged: string[];

beforeAll(async () => {
  const authority = await createAuthority({ cluster: 'herd' });
  tls = { ca: authority.certificate, ...(await issueCertificate(authority, { name: 'n1', hosts: ['127.0.0.1'] })) };
  checker = new ConfigChecker();
});
afterAll(() => checker.close());
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-patroni-'));
  store = await openSqliteStore({ file: join(folder, 'store.db') });
  writeFileSync(join(folder, 'password'), 'geheim\n', { mode: 0o600 });
  [port = 0] = await freePorts(1);
  state = leaderState();
  commands = [];
  reloads = [];
  logged = [];
  command = async () => 'done';
});
afterEach(async () => {
  await door?.stop(AbortSignal.abort());
  door = undefined;
  await store.close();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

const authentication = () => ({ username: 'operator', passwordFile: join(folder, 'password') });

async function open(change: Partial<PatroniApi> = { authentication: authentication() }): Promise<void> {
  const note = (_part: string, text: string) => logged.push(text);
  const world = new PatroniWorld({
    config: { cluster: 'herd', patroniApi: { host: '127.0.0.1', port, tls: false, ...change } },
    state: () => state,
    clock: () => NOW,
    store,
    checker,
    command: (asked, signal) => {
      commands.push(asked);
      return command(asked, signal);
    },
    identity: () => tls,
    server: {
      updateParameters: async (parameters) => {
        reloads.push(parameters);
        return [];
      },
      reload: () => reloads.push('reload') > 0,
      pendingRestart: async () => ['max_connections'],
    },
    storeSeenAtMs: () => 1000,
    log: { info: note, warn: note, error: note },
  });
  door = await startPatroniDoor(world);
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly reused: boolean;
}

interface Call {
  readonly body?: string;
  readonly auth?: string | null;
  readonly agent?: Agent;
  readonly secure?: boolean;
}

function call(method: string, path: string, { body, auth = 'operator:geheim', agent, secure }: Call = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const headers = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  const options = { host: '127.0.0.1', port, method, path, headers, agent: agent ?? false, ...(auth === null ? {} : { auth }) };
  const sent = secure === true ? requestTls({ ...options, agent: false, ca: tls.ca }) : request(options);
  sent.on('error', reject);
  sent.on('response', (response) => {
    let text = '';
    response.on('data', (chunk) => {
      text += chunk;
    });
    response.on('error', reject);
    response.on('end', () =>
      resolve({ status: response.statusCode, headers: response.headers, text, reused: sent.reusedSocket }),
    );
  });
  sent.end(body);
  return promise;
}

const post = async (path: string, body?: unknown) => {
  const { status, text } = await call('POST', path, body === undefined ? {} : { body: JSON.stringify(body) });
  return [status, text];
};

describe('Questions', () => {
  test('are open to everybody, and answered as JSON', async () => {
    await open();
    const answer = await call('GET', '/primary', { auth: null });
    expect(answer).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(answer.text)).toMatchObject({ role: 'primary', patroni: { scope: 'herd', name: 'n1' } });
    expect(JSON.parse((await call('GET', '/patroni', { auth: null })).text)).toMatchObject({ pending_restart: true });
    state = standbyState();
    expect([(await call('GET', '/primary')).status, (await call('GET', '/replica?lag=1kB')).status]).toEqual([503, 200]);
    expect((await call('GET', '/patroni')).status).toBe(200);
    expect((await call('GET', '/nothing/known')).status).toBe(503);
  });

  test('by HEAD and OPTIONS get a status and no body', async () => {
    await open();
    for (const method of ['HEAD', 'OPTIONS'])
      for (const [path, status] of [
        ['/', 200],
        ['/replica', 503],
        ['/liveness', 200],
      ] as const)
        expect(await call(method, path, { auth: null })).toMatchObject({ status, text: '' });
  });

  test('come over one connection, with a body that nobody reads as well', async () => {
    await open();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const answers = [];
      for (const method of ['GET', 'OPTIONS', 'HEAD', 'GET']) answers.push(await call(method, '/health', { agent }));
      expect(answers.map(({ status, reused }) => [status, reused])).toEqual([
        [200, false],
        [200, true],
        [200, true],
        [200, true],
      ]);
      expect((await call('GET', '/health', { agent, body: 'x'.repeat(100) })).status).toBe(200);
      expect((await call('GET', '/health', { agent })).status).toBe(200);
    } finally {
      agent.destroy();
    }
  });

  test('of metrics are text, of the cluster and its history JSON', async () => {
    await open();
    const metrics = await call('GET', '/metrics');
    expect(metrics.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(metrics.text).toContain('patroni_primary{scope="herd",name="n1"} 1\n');
    expect(JSON.parse((await call('GET', '/cluster')).text)).toMatchObject({ scope: 'herd', members: [{}, {}, {}] });
    expect(JSON.parse((await call('GET', '/history')).text)).toEqual([]);
  });

  test('are answered over TLS with the member’s certificate', async () => {
    await open({ tls: true });
    expect((await call('GET', '/primary', { secure: true, auth: null })).status).toBe(200);
    await expect(call('GET', '/primary')).rejects.toThrow();
  });
});

describe('Calls that change something', () => {
  const calls = ['PATCH /config', 'PUT /config', 'POST /switchover', 'POST /failover', 'DELETE /switchover', 'POST /restart']
    .concat(['DELETE /restart', 'POST /reload', 'POST /reinitialize'])
    .map((line) => line.split(' ') as [string, string]);

  test('take the password', async () => {
    await open();
    for (const [method, path] of calls)
      for (const auth of [null, 'operator:falsch', 'operator:', 'other:geheim', ':geheim', 'operator:geheim2'])
        expect(await call(method, path, { auth, body: '{}' }), `${method} ${path} by ${auth}`).toMatchObject({
          status: 401,
          headers: { 'www-authenticate': 'Basic realm="Patroni"' },
        });
    expect([...commands, ...reloads]).toEqual([]);
  });

  test('are closed without authentication, and say what to do', async () => {
    await open({});
    for (const [method, path] of calls)
      expect(await call(method, path, { body: '{}' }), `${method} ${path}`).toMatchObject({
        status: 403,
        text: expect.stringContaining('patroniApi.authentication'),
      });
    expect([...commands, ...reloads]).toEqual([]);
  });

  test('stand in the log with who called, and without any password', async () => {
    await open();
    await post('/restart');
    expect(logged).toContain('POST /restart by operator');
    expect(logged.join()).not.toContain('geheim');
  });

  test('with bad JSON are 400, with too much of it 413', async () => {
    await open();
    expect((await call('POST', '/switchover', { body: '{"leader": ' })).status).toBe(400);
    expect((await call('PATCH', '/config', { body: '[]' })).status).toBe(400);
    expect((await call('PATCH', '/config')).status).toBe(400);
    expect((await call('PATCH', '/config', { body: 'x'.repeat(2 << 20) }).catch(() => ({ status: 413 }))).status).toBe(413);
    expect((await call('POST', '/nothing')).status).toBe(405);
  });
});

test.each([0o644, 0o640, 0o604])('A password file of mode %o is refused with code and place', async (mode) => {
  chmodSync(join(folder, 'password'), mode);
  await expect(open()).rejects.toMatchObject({
    code: 'config.exposed',
    message: expect.stringMatching(/^patroniApi\.authentication\.passwordFile: .*password has mode 06/),
  });
});

test('A password file that is missing or empty is refused as well, and so is a port that is taken', async () => {
  writeFileSync(join(folder, 'password'), '\n');
  await expect(open()).rejects.toMatchObject({ code: 'config.invalid' });
  rmSync(join(folder, 'password'));
  await expect(open()).rejects.toMatchObject({ code: 'disk.failed', message: expect.stringContaining('passwordFile') });
  await open({});
  const first = door;
  await expect(open({})).rejects.toMatchObject({ code: 'port.taken' });
  door = first;
});

describe('/config', () => {
  const patch = async (body: unknown, method = 'PATCH') => {
    const { status, text } = await call(method, '/config', { body: JSON.stringify(body) });
    return { status, json: JSON.parse(text) };
  };

  test('is changed by what is named, over what was read', async () => {
    await open();
    await store.put('config', { durability: { mode: 'preferred' }, timings: { heartbeatMs: 150 } });
    expect((await patch({ ttl: 30, loop_wait: 10 })).json).toMatchObject({ ttl: 30, synchronous_mode: 'quorum' });
    expect((await store.get('config'))?.value).toMatchObject({
      durability: { mode: 'preferred' },
      timings: { heartbeatMs: 150, leaseMs: 30_000 },
    });
    expect(JSON.parse((await call('GET', '/config')).text)).toMatchObject({ ttl: 30 });
    expect((await patch({ postgresql: { parameters: { work_mem: '1MB' } } }, 'PUT')).json).toMatchObject({ ttl: 10 });
  });

  test('that is wrong is refused with its place, in the caller’s words', async () => {
    await open();
    expect(await patch({ ttl: 1 })).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining('config: ttl: ') } },
    });
    expect(await patch({ postgresql: { parameters: { fsync: 'off' } } })).toMatchObject({
      status: 400,
      json: { error: { code: 'config.owned' } },
    });
    expect(await store.get('config')).toBeUndefined();
  });

  test('that somebody else changed meanwhile stays as he left it', async () => {
    const { get } = store;
    await open();
    // The other one writes between this one's reading and writing.
    store.get = async (key, options) => {
      const found = await get.call(store, key, options);
      await store.put('config', { paused: true });
      return found;
    };
    expect((await patch({ ttl: 30 })).status).toBe(409);
    store.get = get;
    expect((await store.get('config'))?.value).toEqual({ paused: true });
  });
});

describe('A switchover', () => {
  test('is carried out by the leader, and told by whom the record names then', async () => {
    await open();
    await store.put('leader', { ...RECORD, member: 'n2', epoch: 8 });
    expect(await post('/switchover', { leader: 'n1', candidate: 'n3' })).toEqual([200, 'Switched over to "n2" instead of "n3"']);
    expect(commands).toEqual([{ kind: 'switchover', to: 'n3' }]);
  });

  test('is refused where nobody can take over, and failed where it was called off', async () => {
    await open();
    command = async () => fail('request.refused', 'n3 no longer keeps up');
    expect(await post('/switchover', { leader: 'n1', candidate: 'n3' })).toEqual([
      503,
      'Switchover failed: n3 no longer keeps up',
    ]);
    command = async () => fail('request.timeout', 'no end within 110 s');
    expect(await post('/failover', { candidate: 'n3' })).toEqual([503, 'Failover status unknown: no end within 110 s']);
    state = leaderState({ peers: {} });
    const [status, text] = await post('/switchover', { leader: 'n1' });
    expect([status, text]).toEqual([412, expect.stringContaining('switchover is not possible: ')]);
    expect(commands).toHaveLength(2);
  });

  test('that a member cannot pass on has failed', async () => {
    await open();
    state = standbyState();
    expect(await post('/switchover', { leader: 'n1' })).toEqual([
      503,
      expect.stringContaining('Switchover failed: n1 at 10.0.0.1'),
    ]);
  });

  test('without a leader is an election by the candidate', async () => {
    await open();
    state = standbyState({}, NOW - 5000);
    await store.put('leader', { ...RECORD, member: 'n2', epoch: 8 });
    expect(await post('/failover', { candidate: 'n2' })).toEqual([200, 'Successfully failed over to "n2"']);
    expect(commands).toEqual([{ kind: 'failover', allowDataLoss: false }]);
  });
});

describe('Other calls', () => {
  test('/restart', async () => {
    await open();
    expect(await post('/restart')).toEqual([200, 'restarted successfully']);
    expect(await post('/restart', { restart_pending: true, role: 'primary' })).toEqual([200, 'restarted successfully']);
    expect(commands).toHaveLength(2);
    expect(await post('/restart', { role: 'replica' })).toEqual([
      503,
      'restart conditions are not satisfied: its role is primary',
    ]);
    expect((await post('/restart', { role: 'king' }))[0]).toBe(400);
    expect((await post('/restart', { schedule: '2030-01-01T00:00+00' }))[0]).toBe(501);
    command = () => new Promise(() => {});
    expect((await post('/restart', { timeout: '1ms' }))[0]).toBe(503);
    command = async () => fail('request.refused', 'try again');
    expect(await post('/restart')).toEqual([503, 'restart failed: try again']);
  });

  test('/reload writes the parameters anew and has the server read its files', async () => {
    await open();
    await store.put('config', { postgresql: { parameters: { work_mem: '1MB' } } });
    expect(await post('/reload')).toEqual([202, 'reload scheduled']);
    await expect.poll(() => reloads, { timeout: 20_000 }).toEqual([{ work_mem: '1MB' }, 'reload']);
  });

  test('/reinitialize begins on a standby with a leader, and nowhere else', async () => {
    await open();
    expect((await post('/reinitialize'))[0]).toBe(503);
    state = standbyState({}, NOW - 60_000);
    expect((await post('/reinitialize'))[0]).toBe(503);
    expect(commands).toEqual([]);
    state = standbyState();
    command = () => {
      state = standbyState({ reinit: { commandId: '1' } });
      return new Promise(() => {});
    };
    expect(await post('/reinitialize', { force: true })).toEqual([200, 'reinitialize started']);
    command = async () => fail('request.refused', 'it is being cloned already');
    expect(await post('/reinitialize')).toEqual([503, 'reinitialize failed: it is being cloned already']);
  });

  test('nothing is scheduled that could be deleted', async () => {
    await open();
    expect(await call('DELETE', '/switchover')).toMatchObject({ status: 404, text: 'no switchover is scheduled' });
    expect(await call('DELETE', '/restart')).toMatchObject({ status: 404, text: 'no restarts are scheduled' });
  });
});
