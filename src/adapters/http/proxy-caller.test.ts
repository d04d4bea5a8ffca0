import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { PROXY_PROTOCOL } from '../proxy-link/messages.ts';
import { createAuthority, issueCertificate } from '../tls/authority.ts';
import { clientTls } from '../tls/contexts.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { type ApiServer, createApiServer, PEER_PROTOCOL } from './api-server.ts';
import { callApi } from './call-api.ts';

// What the certificate of a proxy opens, and what it does not.

let folder: string;
let server: ApiServer;
let port: number;
const shown: Record<string, TlsIdentity> = {};
const opened: boolean[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-caller-'));
  const authority = await createAuthority({ cluster: 'herd' });
  const ofProxies = await createAuthority({ cluster: 'herd', of: 'proxies' });
  const ca = authority.certificate;
  shown.member = { ca, ...(await issueCertificate(authority, { name: 'n2', hosts: [] })) };
  shown.proxy = { ca, ...(await issueCertificate(authority, { name: PROXY_NAME, clientOnly: true })) };
  shown.login = { ca, ...(await issueCertificate(ofProxies, { name: PROXY_LOGIN_NAME, clientOnly: true })) };
  // The name of a member by the authority of the proxies, whoever has got hold of its key.
  shown.forged = { ca, ...(await issueCertificate(ofProxies, { name: 'n2', hosts: [] })) };
  const ok = () => ({ status: 200, json: 'done' });
  server = createApiServer({
    host: '127.0.0.1',
    port: 0,
    socketPath: join(folder, 'api.sock'),
    tls: { ca, ...(await issueCertificate(authority, { name: 'n1', hosts: ['127.0.0.1'] })) },
    routes: [
      { method: 'GET', path: '/health', public: true, handle: ok },
      { method: 'GET', path: '/status', forProxies: true, handle: ok },
      { method: 'GET', path: '/explain', handle: ok },
      { method: 'POST', path: '/switchover', handle: ok },
    ],
    onUpgrade: (socket) => void socket.on('end', () => socket.destroy()),
    onProxy: (socket, _, isLocal) => {
      opened.push(isLocal);
      socket.on('end', () => socket.destroy());
    },
    onError: (error) => {
      throw error;
    },
  });
  ({ port } = await server.start());
});
afterAll(async () => {
  await server.stop(AbortSignal.abort());
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  ['member', ['/health', '/status', '/explain', '/switchover']],
  ['proxy', ['/health', '/status']],
  ['login', ['/health']],
  ['forged', ['/health']],
])('%s may call %j', async (who, allowed) => {
  const target = { host: '127.0.0.1', port, name: 'n1', tls: shown[who] as TlsIdentity };
  for (const path of ['/health', '/status', '/explain', '/switchover']) {
    const call = callApi(target, path === '/switchover' ? 'POST' : 'GET', path);
    if (allowed.includes(path)) expect((await call).json).toBe('done');
    else await expect(call).rejects.toMatchObject({ code: 'api.forbidden' });
  }
});

async function upgrade(socket: Socket, path: string, protocol: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nhost: n1\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\n\r\n`);
  socket.on('error', () => {});
  const [answer] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return answer.toString('latin1').split(' ')[1] ?? '';
}

test.each([
  ['member', '101', '101'],
  ['proxy', '403', '101'],
  ['login', '403', '403'],
  ['forged', '403', '403'],
])('%s is answered %s as a peer and %s as a proxy', async (who, asPeer, asProxy) => {
  const dial = async () => {
    const socket = connect({ ...clientTls(shown[who] as TlsIdentity, 'n1'), host: '127.0.0.1', port });
    await once(socket, 'secureConnect');
    return socket;
  };
  expect(await upgrade(await dial(), '/peer', PEER_PROTOCOL)).toBe(asPeer);
  expect(await upgrade(await dial(), '/proxy', PROXY_PROTOCOL)).toBe(asProxy);
  expect(await upgrade(await dial(), '/proxy', 'matriarch-proxy/9')).toBe('404');
});

test('the owner is local, and no peer', async () => {
  opened.length = 0;
  expect(await upgrade(connectPlain(join(folder, 'api.sock')), '/proxy', PROXY_PROTOCOL)).toBe('101');
  expect(await upgrade(connectPlain(join(folder, 'api.sock')), '/peer', PEER_PROTOCOL)).toBe('403');
  expect(opened).toEqual([true]);
});
