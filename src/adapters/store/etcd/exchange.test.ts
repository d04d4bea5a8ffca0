import { once } from 'node:events';
import { Agent, createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { exchange } from './exchange.ts';
import type { EtcdFailure } from './failures.ts';

const endings: (() => unknown)[] = [];
afterEach(() => {
  for (const end of endings.splice(0)) end();
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createHttpServer(listener).listen(0, '127.0.0.1');
  endings.push(() => server.close());
  await once(server, 'listening');
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

function post(url: URL, agent: Agent) {
  const signal = new AbortController().signal;
  const options = { path: 'kv/put', payload: Buffer.from('{}'), headers: {}, signal, onSent: () => {} };
  return exchange({ url, secureContext: undefined, agent }, options);
}

function newAgent(): Agent {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  endings.push(() => agent.destroy());
  return agent;
}

test('whoever waited for the connection of another request has sent when it breaks, and may have done something', async () => {
  let requests = 0;
  const url = await serve((request, response) => {
    requests += 1;
    request.resume();
    if (requests === 1) response.end('{}');
    else request.socket.destroy();
  });
  const agent = newAgent();
  const [first, second] = await Promise.allSettled([post(url, agent), post(url, agent)]);
  expect(first).toEqual({ status: 'fulfilled', value: { status: 200, text: '{}' } });
  expect((second as PromiseRejectedResult).reason as EtcdFailure).toMatchObject({ code: 'store.unavailable', harmless: false });
});

test('a connection is used again, and on one that breaks nothing is certain', async () => {
  let requests = 0;
  const url = await serve((request, response) => {
    requests += 1;
    request.resume();
    if (requests < 3) response.end('{}');
    else request.socket.destroy();
  });
  const agent = newAgent();
  await post(url, agent);
  await post(url, agent);
  await expect(post(url, agent)).rejects.toMatchObject({ harmless: false });
});

test('whoever is refused has sent nothing', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await expect(post(new URL(`http://127.0.0.1:${port}`), newAgent())).rejects.toMatchObject({ harmless: true });
});

test('an answer that ends in the middle is none', async () => {
  const url = await serve((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': 100 });
    response.write('{"header":', () => request.socket.destroy());
  });
  await expect(post(url, newAgent())).rejects.toMatchObject({ code: 'store.unavailable', harmless: false });
});
