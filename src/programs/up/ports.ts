import { connect, createServer } from 'node:net';
import { fail } from '#domain/errors.ts';

/** Above PostgreSQL's own 5432, where a server of the machine may come at any time. */
const FIRST_PORT = 5433;
/** The agents' APIs listen this far above their servers. */
const API_OFFSET = 100;
const ATTEMPTS = 100;
const PROBE_TIMEOUT_MS = 1000;
/** A client's question whether the server speaks TLS; PostgreSQL answers with one letter (manual, section 55.2.10). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

export interface PortPair {
  readonly port: number;
  readonly apiPort: number;
}

/** Where applications are used to find a pool. */
const FIRST_PROXY_PORT = 6432;

function isPortFree(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}

/** Who listens there: something that speaks PostgreSQL's protocol, or anything else. Undefined: nobody. */
function whoListens(host: string, port: number): Promise<'postgres' | 'other' | undefined> {
  const { promise, resolve } = Promise.withResolvers<'postgres' | 'other' | undefined>();
  const socket = connect({ host, port });
  const answer = (who: 'postgres' | 'other' | undefined) => {
    resolve(who);
    socket.destroy();
  };
  socket.setTimeout(PROBE_TIMEOUT_MS, () => answer('other'));
  socket.once('connect', () => socket.write(SSL_REQUEST));
  socket.once('data', (bytes) => answer(bytes.length === 1 && 'SNE'.includes(bytes.toString('latin1')) ? 'postgres' : 'other'));
  socket.once('error', (error: NodeJS.ErrnoException) => answer(error.code === 'ECONNREFUSED' ? undefined : 'other'));
  socket.once('close', () => answer('other'));
  return promise;
}

/** Throws `postgres.foreignServer` or `port.taken` with what was found on the port. `whose` names what needs it. */
export async function refuseTakenPort(host: string, port: number, whose: string): Promise<void> {
  if (await isPortFree(host, port)) return;
  const who = await whoListens(host, port);
  if (who === 'postgres') fail('postgres.foreignServer', `another PostgreSQL listens on ${host}:${port}, the port of ${whose}`);
  fail('port.taken', `${host}:${port}, the port of ${whose}, is in use or may not be opened by this user`);
}

function pairs(first: number, members: number): PortPair[] {
  return Array.from({ length: members }, (_, index) => ({ port: first + index, apiPort: first + API_OFFSET + index }));
}

/** Ports for the members of a new cluster: from `first` on, where each must be free, or the first free row of them. */
export async function choosePorts(host: string, members: number, first: number | undefined): Promise<PortPair[]> {
  if (first !== undefined) {
    if (first + API_OFFSET + members > 65_536)
      fail('usage.invalidArgument', `--port ${first} leaves no room below 65536 for ${members} members and their agents`);
    for (const [index, { port, apiPort }] of pairs(first, members).entries()) {
      await refuseTakenPort(host, port, `n${index + 1}`);
      await refuseTakenPort(host, apiPort, `the agent of n${index + 1}`);
    }
    return pairs(first, members);
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const chosen = pairs(FIRST_PORT + attempt * 10, members);
    const free = await Promise.all(chosen.flatMap(({ port, apiPort }) => [isPortFree(host, port), isPortFree(host, apiPort)]));
    if (free.every(Boolean)) return chosen;
  }
  return fail('port.taken', `no row of ${members} free ports was found between ${FIRST_PORT} and ${FIRST_PORT + ATTEMPTS * 10}`);
}

/**
 * The ports of the proxy: `asked`, which must be free, or the first free pair from 6432 on. `taken`: those that the members get. Errors:
 * `port.taken`, `postgres.foreignServer`, `usage.invalidArgument`.
 */
export async function chooseProxyPorts(
  host: string,
  asked: number | undefined,
  taken: readonly PortPair[],
): Promise<{ readonly port: number; readonly metricsPort: number }> {
  const members = taken.flatMap(({ port, apiPort }) => [port, apiPort]);
  if (asked !== undefined) {
    const metricsPort = asked + API_OFFSET;
    if (metricsPort > 65_535) fail('usage.invalidArgument', `--proxy-port ${asked} leaves no room below 65536 for its metrics`);
    for (const port of [asked, metricsPort])
      if (members.includes(port)) fail('port.taken', `--proxy-port ${asked}: ${port} is the port of a member or its agent`);
    await refuseTakenPort(host, asked, 'the proxy');
    await refuseTakenPort(host, metricsPort, 'the metrics of the proxy');
    return { port: asked, metricsPort };
  }
  for (let port = FIRST_PROXY_PORT; port < FIRST_PROXY_PORT + ATTEMPTS; port++) {
    const pair = [port, port + API_OFFSET];
    if (pair.some((one) => members.includes(one))) continue;
    const free = await Promise.all(pair.map((one) => isPortFree(host, one)));
    if (free.every(Boolean)) return { port, metricsPort: port + API_OFFSET };
  }
  return fail(
    'port.taken',
    `no free port for the proxy was found between ${FIRST_PROXY_PORT} and ${FIRST_PROXY_PORT + ATTEMPTS}`,
  );
}
