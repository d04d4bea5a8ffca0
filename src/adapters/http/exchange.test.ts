import { once } from 'node:events';
import { Agent, createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { exchange } from './exchange.ts';

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
  const toFailure = (cause: unknown, sent: boolean) => Object.assign(new Error('lost', { cause }), { sent });
  const call = { method: 'POST', path: '/v3/kv/put', payload: Buffer.from('{}'), headers: {}, signal };
  return exchange({ url, secureContext: undefined, agent, toFailure }, call, 100);
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
  expect(first).toMatchObject({ status: 'fulfilled', value: { status: 200, text: '{}' } });
  expect((second as PromiseRejectedResult).reason).toMatchObject({ sent: true });
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
  await expect(post(url, agent)).rejects.toMatchObject({ sent: true });
});

test('whoever is refused has sent nothing', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  await expect(post(new URL(`http://127.0.0.1:${port}`), newAgent())).rejects.toMatchObject({ sent: false });
});

test('an answer that ends in the middle is none', async () => {
  const url = await serve((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-length': 100 });
    response.write('{"header":', () => request.socket.destroy());
  });
  await expect(post(url, newAgent())).rejects.toMatchObject({ sent: true });
});
