import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { parse, stringify } from 'yaml';
import type { clusterPaths } from '#domain/config/cluster-paths.ts';

const LOGIN = { username: 'operator', password: 'four words of nothing' };
const TIMEOUT_MS = 120_000;

export interface PatroniAnswer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

/** So many ports of this machine that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  for (const server of servers) {
    server.close();
    await once(server, 'close');
  }
  return ports;
}

/** The ports of a test cluster's members that answer as Patroni does. */
export class PatroniPorts {
  readonly #ports = new Map<string, number>();
  /** The authority of those that speak HTTPS. */
  readonly #authorities = new Map<string, string>();

  /** To be called before the first agent starts: the members' configurations name the ports. `secure`: by HTTPS. */
  async give(paths: ReturnType<typeof clusterPaths>, names: readonly string[], secure: readonly string[] = []): Promise<void> {
    const passwordFile = `${paths.dir}/patroni-password`;
    await writeFile(passwordFile, `${LOGIN.password}\n`, { mode: 0o600 });
    const ports = await freePorts(names.length);
    for (const [index, name] of names.entries()) {
      const port = ports[index] ?? 0;
      this.#ports.set(name, port);
      const file = paths.member(name).config;
      const tls = secure.includes(name);
      if (tls) this.#authorities.set(name, await readFile(paths.ca, 'utf8'));
      const patroniApi = { host: '127.0.0.1', port, tls, authentication: { username: LOGIN.username, passwordFile } };
      await writeFile(file, stringify({ ...parse(await readFile(file, 'utf8')), patroniApi }));
    }
  }

  of(name: string): number {
    return this.#ports.get(name) ?? 0;
  }

  /** Calls a member, with the password unless `anonymous`. Status 0: nobody answers. */
  async call(
    name: string,
    method: string,
    path: string,
    options: { readonly body?: unknown; readonly anonymous?: boolean; readonly timeoutMs?: number } = {},
  ): Promise<PatroniAnswer> {
    const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
    const auth = options.anonymous === true ? undefined : `${LOGIN.username}:${LOGIN.password}`;
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>();
    const ca = this.#authorities.get(name);
    const call = (ca === undefined ? request : requestTls)({
      host: '127.0.0.1',
      port: this.of(name),
      method,
      path,
      agent: false,
      ...(ca === undefined ? {} : { ca }),
      signal: AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS),
      ...(auth === undefined ? {} : { auth }),
      ...(payload === undefined ? {} : { headers: { 'content-length': Buffer.byteLength(payload) } }),
    });
    call.on('error', reject);
    call.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.end(payload);
    const { status, text } = await promise.catch(() => ({ status: 0, text: '' }));
    return { status, text, json: tryJson(text) };
  }

  async status(name: string, path: string): Promise<number> {
    return (await this.call(name, 'GET', path, { anonymous: true, timeoutMs: 2000 })).status;
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
