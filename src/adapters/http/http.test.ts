import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { fail } from '#domain/errors.ts';
import { type Authority, createAuthority, issueCertificate } from '../tls/authority.ts';
import { clientTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { type ApiServer, createApiServer, PEER_PROTOCOL } from './api-server.ts';
import { type ApiTarget, callApi } from './call-api.ts';
import { type ApiRequest, matchRoute, type Route } from './router.ts';

let n1: TlsIdentity;
let n2: TlsIdentity;
let stranger: TlsIdentity;
beforeAll(async () => {
  const identity = async (authority: Authority, name: string) => ({
    ca: authority.certificate,
    ...(await issueCertificate(authority, { name, hosts: ['127.0.0.1'] })),
  });
  const authority = await createAuthority({ cluster: 'herd' });
  n1 = await identity(authority, 'n1');
  n2 = await identity(authority, 'n2');
  stranger = { ...(await identity(await createAuthority({ cluster: 'other' }), 'n2')), ca: n1.ca };
});

let folder: string;
let server: ApiServer;
let port: number;
let errors: unknown[];
let upgraded: { readonly socket: TLSSocket; readonly from: string }[];
const held: { readonly request: ApiRequest; answer(): void }[] = [];

const routes: readonly Route[] = [
  { method: 'GET', path: '/health', public: true, handle: () => ({ status: 503, json: { state: 'standby' } }) },
  { method: 'GET', path: '/whoami', handle: ({ caller }) => ({ status: 200, json: caller }) },
  {
    method: 'POST',
    path: '/echo/:name',
    handle: ({ params, query, body }) => ({ status: 201, json: [params, query.get('q'), body] }),
  },
  { method: 'POST', path: '/refuse', handle: () => fail('request.refused', 'n2 is too far behind') },
  {
    method: 'POST',
    path: '/bug',
    handle: () => {
      throw new Error('password=geheim');
    },
  },
  {
    method: 'POST',
    path: '/hold',
    handle: (request) => new Promise((resolve) => held.push({ request, answer: () => resolve({ status: 200, json: 'held' }) })),
  },
];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-api-'));
  errors = [];
  upgraded = [];
  server = newServer();
  ({ port } = await server.start());
});
afterEach(async () => {
  await server.stop(AbortSignal.abort());
  held.splice(0);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function newServer(socketPath = join(folder, 'api.sock'), onPort = 0): ApiServer {
  return createApiServer({
    host: '127.0.0.1',
    port: onPort,
    socketPath,
    tls: n1,
    routes,
    onUpgrade: (socket, _head, from) => upgraded.push({ socket, from }),
    onError: (error) => errors.push(error),
  });
}

const bySocket = (): ApiTarget => ({ socketPath: join(folder, 'api.sock') });
const byTls = (tls: TlsIdentity = n2, name = 'n1'): ApiTarget => ({ host: '127.0.0.1', port, name, tls });

describe('Callers', () => {
  test('are the owner by the socket, a member by its certificate', async () => {
    expect((await callApi(bySocket(), 'GET', '/whoami')).json).toEqual({ kind: 'owner' });
    expect((await callApi(byTls(), 'GET', '/whoami')).json).toEqual({ kind: 'member', name: 'n2' });
  });

  test('with a certificate of another cluster read public routes and nothing else', async () => {
    expect((await callApi(byTls(stranger), 'GET', '/health')).status).toBe(503);
    await expect(callApi(byTls(stranger), 'GET', '/whoami')).rejects.toMatchObject({ code: 'api.forbidden' });
    await expect(callApi(byTls(stranger), 'POST', '/echo/a', { body: 1 })).rejects.toMatchObject({ code: 'api.forbidden' });
  });

  test('are refused as clients when the server is another member', async () => {
    await expect(callApi(byTls(n2, 'n3'), 'GET', '/whoami')).rejects.toMatchObject({ code: 'agent.unreachable' });
  });

  test('cannot be let in to change something by a public route', () => {
    const handle = () => ({ status: 200, json: null });
    const options = { host: '127.0.0.1', port: 0, socketPath: join(folder, 'b.sock'), tls: n1, onError: () => {} };
    expect(() => createApiServer({ ...options, routes: [{ method: 'POST', path: '/', public: true, handle }] })).toThrow(
      'public',
    );
  });
});

describe('Requests', () => {
  test('bring parameters, query and body', async () => {
    const answer = await callApi(bySocket(), 'POST', '/echo/n%201?q=x', { body: { a: 'ä' } });
    expect(answer).toEqual({ status: 201, json: [{ name: 'n 1' }, 'x', { a: 'ä' }] });
    expect((await callApi(bySocket(), 'POST', '/echo/a')).json).toEqual([{ name: 'a' }, null, null]);
  });

  test('that fail are answered with code, message and what to do next', async () => {
    await expect(callApi(bySocket(), 'POST', '/refuse')).rejects.toMatchObject({
      code: 'request.refused',
      message: 'n2 is too far behind',
    });
    await expect(callApi(bySocket(), 'GET', '/nothing')).rejects.toMatchObject({ code: 'api.notFound' });
    await expect(callApi(bySocket(), 'DELETE', '/health')).rejects.toThrow('takes GET');
  });

  test('that hit a bug tell the log what it was, and the caller nothing', async () => {
    const failure = await callApi(bySocket(), 'POST', '/bug').catch((error) => error);
    expect(failure.code).toBe('internal.bug');
    expect(failure.message).not.toContain('geheim');
    expect(errors).toMatchObject([{ message: 'password=geheim' }]);
  });

  test('with a body that is too large, announced or not, or no JSON, are refused', async () => {
    await expect(callApi(bySocket(), 'POST', '/echo/a', { body: 'x'.repeat(1 << 20) })).rejects.toMatchObject({
      code: 'api.tooLarge',
    });
    expect(await raw(['POST /echo/a HTTP/1.1', 'host: a', 'content-length: 3', '', '{{{'])).toContain('api.malformed');
    const chunk = `${(70_000).toString(16)}\r\n${'x'.repeat(70_000)}\r\n`;
    expect(await raw(['POST /echo/a HTTP/1.1', 'host: a', 'transfer-encoding: chunked', '', chunk.repeat(16)])).toContain(
      'api.tooLarge',
    );
  });

  test('learn that the client has gone', async () => {
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const call = callApi(bySocket(), 'POST', '/hold', { signal: controller.signal });
    const aborted = until(() => held.length === 1).then(() =>
      once(held[0]?.request.signal as EventTarget & AbortSignal, 'abort'),
    );
    await until(() => held.length === 1);
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await aborted;
  });

  test('cut off in the middle of the body are no bugs', async () => {
    const socket = connectPlain(join(folder, 'api.sock'));
    await once(socket, 'connect');
    socket.write('POST /echo/a HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{"a":');
    // Answered, so the server has read what was written before it.
    await callApi(bySocket(), 'GET', '/health');
    socket.destroy();
    await server.stop();
    expect(errors).toEqual([]);
  });

  test('without an answer in time are given up', async () => {
    await expect(callApi(bySocket(), 'POST', '/hold', { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'agent.unreachable',
      message: expect.stringContaining('within 50 ms'),
    });
  });

  test('to somebody who speaks something else fail as such', async () => {
    const other = createServer((socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
    const path = join(folder, 'other.sock');
    other.listen(path);
    await once(other, 'listening');
    await expect(callApi({ socketPath: path }, 'GET', '/health')).rejects.toMatchObject({ code: 'agent.unreachable' });
    other.close();
    await expect(callApi({ socketPath: join(folder, 'none.sock') }, 'GET', '/health')).rejects.toMatchObject({
      code: 'agent.unreachable',
    });
  });
});

describe('The Unix socket', () => {
  test('is its owner’s alone', () => {
    expect(statSync(join(folder, 'api.sock')).mode & 0o777).toBe(0o600);
  });

  test('in a folder that is missing: the folder is made for the owner alone', async () => {
    const second = newServer(join(folder, 'deep', 'api.sock'));
    await second.start();
    expect(statSync(join(folder, 'deep')).mode & 0o777).toBe(0o700);
    await second.stop();
  });

  test('that a killed process left behind is replaced; one that is served is not', async () => {
    const stale = join(folder, 'stale.sock');
    writeFileSync(stale, '');
    chmodSync(stale, 0o644);
    const second = newServer(stale);
    await second.start();
    await expect(newServer(stale).start()).rejects.toMatchObject({ code: 'port.taken' });
    expect((await callApi({ socketPath: stale }, 'GET', '/whoami')).status).toBe(200);
    await second.stop();
  });

  test('whose path is too long is refused before anything else happens', () => {
    expect(() => newServer(join(folder, 'x'.repeat(100)))).toThrow(expect.objectContaining({ code: 'folder.pathTooLong' }));
  });

  test('a port that is taken is named', async () => {
    await expect(newServer(join(folder, 'b.sock'), port).start()).rejects.toMatchObject({ code: 'port.taken' });
  });
});

describe('Upgrades', () => {
  async function askFor(tls: TlsIdentity, path: string): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port, ...clientTls(tls, 'n1') });
    await once(socket, 'secureConnect');
    socket.write(`GET ${path} HTTP/1.1\r\nhost: n1\r\nconnection: upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString().split('\r\n')[0] ?? '';
  }

  test('are for members, by the name in the certificate', async () => {
    expect(await askFor(n2, '/peer')).toBe('HTTP/1.1 101 Switching Protocols');
    expect(upgraded.map(({ from }) => from)).toEqual(['n2']);
    expect(await askFor(stranger, '/peer')).toBe('HTTP/1.1 403 Forbidden');
    expect(await askFor(n2, '/other')).toBe('HTTP/1.1 404 Not Found');
    expect(upgraded.length).toBe(1);
  });
});

describe('Stopping', () => {
  test('lets running requests end', async () => {
    const call = callApi(bySocket(), 'POST', '/hold');
    await until(() => held.length === 1);
    const stopped = server.stop(new AbortController().signal);
    expect(held[0]?.request.signal.aborted).toBe(true);
    held[0]?.answer();
    expect((await call).json).toBe('held');
    await stopped;
    await expect(callApi(bySocket(), 'GET', '/whoami')).rejects.toMatchObject({ code: 'agent.unreachable' });
  });

  test('cuts what does not end, upgraded connections too', async () => {
    const call = callApi(byTls(), 'POST', '/hold').catch((error) => error.code);
    const socket = connect({ host: '127.0.0.1', port, ...clientTls(n2, 'n1') });
    await once(socket, 'secureConnect');
    socket.write(`GET /peer HTTP/1.1\r\nhost: n1\r\nconnection: upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n\r\n`);
    await until(() => held.length === 1 && upgraded.length === 1);
    const closed = once(socket, 'close');
    socket.resume();
    await server.stop(AbortSignal.timeout(20));
    expect(await call).toBe('agent.unreachable');
    await closed;
  });
});

test('routes match whole segments, the first one first', () => {
  const handle = () => ({ status: 200, json: null });
  const table: Route[] = [
    { method: 'GET', path: '/members/self', handle },
    { method: 'GET', path: '/members/:name', handle },
    { method: 'POST', path: '/members/:name', handle },
    { method: 'GET', path: '/open', public: true, handle },
  ];
  const match = (method: string, path: string) => {
    const found = matchRoute(table, method, path);
    return found.kind === 'route' ? [table.indexOf(found.route), found.params] : found.kind;
  };
  expect(match('GET', '/members/self')).toEqual([0, {}]);
  expect(match('HEAD', '/members/n%2F1')).toEqual([1, { name: 'n/1' }]);
  expect(match('POST', '/members/self')).toEqual([2, { name: 'self' }]);
  expect(match('PUT', '/members/n1')).toBe('wrongMethod');
  expect([match('OPTIONS', '/open'), match('OPTIONS', '/members/n1')]).toEqual([[3, {}], 'wrongMethod']);
  expect(matchRoute([{ method: 'GET', path: '*', handle }], 'GET', '/any/thing')).toMatchObject({ kind: 'route', params: {} });
  for (const path of ['/members', '/members/', '/members/a/b', '/members/%', '/Members/self'])
    expect(match('GET', path)).toBe('none');
});

/** Sends bytes as they are and returns all of the answer. */
async function raw(lines: readonly string[]): Promise<string> {
  const socket = connectPlain(join(folder, 'api.sock'));
  socket.on('error', () => {});
  socket.write(lines.join('\r\n'));
  let answer = '';
  for await (const chunk of socket) {
    answer += chunk;
    if (answer.includes('"next"')) break;
  }
  return answer;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
