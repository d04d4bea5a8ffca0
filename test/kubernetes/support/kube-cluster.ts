import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { NumberedWriter } from '../../support/numbered-writer.ts';
import { read } from './api.ts';
import { kubectl } from './kubectl.ts';

/** Of a crowded machine: a pod takes half a minute to go, and as long to come. */
const HEAL_MS = 180_000;
const LOOK_EVERY_MS = 1000;
const CONNECT_MS = 10_000;
const PROXIED_STATEMENT_MS = 15_000;
const DIRECT_STATEMENT_MS = 1000;
/** Two cores run Kubernetes, the cluster and its clients. */
const PAUSE_MS = 50;
const PLUGIN = join(import.meta.dirname, '../../../deploy/kubectl/kubectl-matriarch');
const PLUGIN_MS = 120_000;
const NODE_PORT = ['--type=NodePort', '--port=5432', '--target-port=postgresql'] as const;

interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly creationTimestamp: string;
    readonly deletionTimestamp?: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

interface Status {
  readonly leader: string | null;
  readonly epoch: number | null;
  readonly paused: boolean;
}

/** A cluster in a namespace of its own, which somebody else fills. Clients come in from outside, by a port of the node. */
export class KubeCluster {
  readonly namespace = `matriarch-${randomBytes(3).toString('hex')}`;
  readonly name = 'db';
  instances = 3;
  #proxyUrl = '';
  #primaryUrl = '';
  readonly #folders: string[] = [];

  /** Resolves when every member streams and the proxies let clients in. `fill` makes the cluster. */
  protected async start(fill: () => Promise<unknown>): Promise<void> {
    await kubectl(['create', 'namespace', this.namespace]);
    try {
      await fill();
      await this.healed();
      // As a person would do it, who wants in: these Services have the labels of what they lead to.
      await this.kubectl('expose', 'deployment', `${this.name}-proxy`, '--name=outside', ...NODE_PORT);
      await this.kubectl('expose', 'service', `${this.name}-primary`, '--name=outside-primary', ...NODE_PORT);
      await this.findUrls();
      await this.until('the proxies let clients in', async () => {
        await this.query('create table if not exists numbered (series text, number int, primary key (series, number))');
        return true;
      });
    } catch (error) {
      await this.destroy();
      throw error;
    }
  }

  /** Anew when the password has changed. */
  protected async findUrls(): Promise<void> {
    const [nodes, secret, tls, proxy, primary] = await Promise.all(
      [
        'nodes',
        `secret/${this.name}-superuser`,
        `secret/${this.name}-member-tls`,
        'service/outside',
        'service/outside-primary',
      ].map((what) => this.get(what)),
    );
    const folder = await mkdtemp(join(tmpdir(), 'matriarch-ca-'));
    const authority = join(folder, 'ca.crt');
    await writeFile(authority, Buffer.from(tls.data['ca.crt'], 'base64'));
    const host = nodes.items[0].status.addresses.find(({ type }: { type: string }) => type === 'InternalIP')?.address;
    const text = (key: string) => encodeURIComponent(Buffer.from(secret.data[key], 'base64').toString('utf8'));
    const url = (service: typeof proxy) =>
      `postgresql://${text('username')}:${text('password')}@${host}:${service.spec.ports[0].nodePort}/postgres?x=1`;
    // The servers themselves let nobody in without TLS.
    [this.#proxyUrl, this.#primaryUrl] = [url(proxy), `${url(primary)}&sslrootcert=${authority}`];
    await Promise.all(this.#folders.splice(0).map((one) => rm(one, { recursive: true, force: true })));
    this.#folders.push(folder);
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever kubectl prints
  async get(...what: readonly string[]): Promise<any> {
    return JSON.parse(await this.kubectl('get', ...what, '-o', 'json'));
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl(['--namespace', this.namespace, ...args]);
  }

  /** `kubectl matriarch COMMAND NAME …`; gives what it prints. */
  async plugin(command: string, ...args: readonly string[]): Promise<string> {
    const whole = [command, this.name, '--namespace', this.namespace, ...args];
    return (await promisify(execFile)(PLUGIN, whole, { timeout: PLUGIN_MS })).stdout;
  }

  kubectlFor(timeoutMs: number, ...args: readonly string[]): Promise<string> {
    return kubectl(['--namespace', this.namespace, ...args], { timeoutMs });
  }

  async apply(object: unknown): Promise<void> {
    await kubectl(['--namespace', this.namespace, 'apply', '-f', '-'], { input: JSON.stringify(object) });
  }

  /** In the container of a member. */
  exec(member: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl('exec', member, '-c', 'postgresql', '--', ...command);
  }

  /** A client of the proxies. */
  writer(series: string): NumberedWriter {
    return new NumberedWriter(this.#proxyUrl, series, { statementTimeoutMs: PROXIED_STATEMENT_MS, pauseMs: PAUSE_MS });
  }

  /** A client of `NAME-primary`. Nobody tells it when its server is gone, so it gives up a statement as a careful application does. */
  directWriter(series: string): NumberedWriter {
    return new NumberedWriter(this.#primaryUrl, series, { statementTimeoutMs: DIRECT_STATEMENT_MS, pauseMs: PAUSE_MS });
  }

  async query<Row extends object>(text: string): Promise<readonly Row[]> {
    return asClient(this.#proxyUrl, (client) => rows<Row>(client, text));
  }

  /** As a declared role, by the password of its Secret. */
  async as<Row extends object>(role: string, database: string, text: string): Promise<readonly Row[]> {
    const { data } = await this.get('secret', `${this.name}-role-${role}`);
    const url = new URL(this.#proxyUrl);
    [url.username, url.password] = [role, encodeURIComponent(Buffer.from(data.password, 'base64').toString())];
    url.pathname = `/${database}`;
    return asClient(url.href, (client) => rows<Row>(client, text));
  }

  /** Acknowledged numbers that are gone: must be none. */
  missing(writer: NumberedWriter): Promise<readonly number[]> {
    return asClient(this.#proxyUrl, (client) => writer.missing(client));
  }

  /** As the superuser, in the container of a member; by default at its own server. */
  psql(member: string, sql: string, host = 'localhost'): Promise<string> {
    const login = (key: string) => `"$(cat /etc/matriarch/secrets/superuser/${key})"`;
    const command = `PGUSER=${login('username')} PGPASSWORD=${login('password')} exec psql -h ${host} -d postgres -Atc "$1"`;
    return this.exec(member, 'sh', '-c', command, 'sh', sql);
  }

  async pods(): Promise<readonly Pod[]> {
    const labelSelector = `${LABEL.cluster}=${this.name},${LABEL.component}=postgresql`;
    const path = `/api/v1/namespaces/${this.namespace}/pods?${new URLSearchParams({ labelSelector })}`;
    return ((await read(path)) as { items: readonly Pod[] }).items;
  }

  /** As the labels have it. */
  async primary(): Promise<string> {
    return this.until('there is a primary', async () => (await this.pods()).find(isPrimary)?.metadata.name);
  }

  async statusOf(member: string): Promise<Status | undefined> {
    const text = await this.exec(member, 'matriarch', 'status', '-o', 'json').catch(() => '');
    return text === '' ? undefined : (JSON.parse(text) as Status);
  }

  /** Resolves when another pod than `member` is labelled as the primary. */
  async ledByAnother(member: string): Promise<void> {
    await this.until(`somebody else than ${member} leads`, async () =>
      (await this.pods()).some((pod) => isPrimary(pod) && pod.metadata.name !== member) ? true : undefined,
    );
  }

  /** Resolves when the pod `member` is labelled as the primary. */
  async ledBy(member: string): Promise<void> {
    await this.until(`${member} leads`, async () => ((await this.primary()) === member ? true : undefined));
  }

  async switchTo(member: string): Promise<void> {
    if ((await this.primary()) !== member) await this.exec(member, 'matriarch', 'switchover', '--to', member);
  }

  /** Asks for what a drain of its node asks for. */
  async evict(member: string): Promise<void> {
    const body = { apiVersion: 'policy/v1beta1', kind: 'Eviction', metadata: { name: member, namespace: this.namespace } };
    const path = `/api/v1/namespaces/${this.namespace}/pods/${member}/eviction`;
    const served = await kubectl(['api-versions']);
    const apiVersion = served.includes('policy/v1\n') ? 'policy/v1' : body.apiVersion;
    await kubectl(['create', '--raw', path, '-f', '-'], { input: JSON.stringify({ ...body, apiVersion }) });
  }

  /** Makes again what was deleted. */
  async restore(json: string): Promise<void> {
    const { metadata, ...rest } = JSON.parse(json);
    const { name, namespace, labels } = metadata;
    await kubectl(['create', '-f', '-'], { input: JSON.stringify({ ...rest, metadata: { name, namespace, labels } }) });
  }

  async setPassword(password: string, secret = `${this.name}-superuser`): Promise<void> {
    await this.kubectl('patch', 'secret', secret, '--type=merge', '-p', JSON.stringify({ stringData: { password } }));
    await this.findUrls();
  }

  /** Every member is there, streams or leads, is ready, and its label says what it is. */
  async healed(): Promise<void> {
    await this.until('every member is in its place', async () => {
      const pods = await this.pods();
      if (pods.length !== this.instances || !pods.every(isReady)) return undefined;
      // A replica that does not stream is not ready.
      const roles = pods.map(({ metadata }) => metadata.labels[LABEL.role]);
      const inPlace = roles.filter((role) => role === 'primary').length === 1 && roles.every((role) => role !== undefined);
      return inPlace ? true : undefined;
    });
  }

  async until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = HEAL_MS): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await look().catch(() => undefined);
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`waited in vain: ${what}\n${await this.describe()}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  protected async describe(): Promise<string> {
    const pods = await this.kubectl('get', 'pods', '-o', 'wide', '-L', 'matriarch.dev/role').catch(String);
    const status = await this.exec(`${this.name}-0`, 'matriarch', 'status').catch(String);
    return `${pods}\n${status}`;
  }

  async destroy(): Promise<void> {
    await kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
    await Promise.all(this.#folders.splice(0).map((one) => rm(one, { recursive: true, force: true })));
  }
}

function isPrimary({ metadata }: Pod): boolean {
  return metadata.labels[LABEL.role] === 'primary' && metadata.deletionTimestamp === undefined;
}

function isReady({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}

async function asClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function rows<Row extends object>(client: Client, text: string): Promise<readonly Row[]> {
  return (await client.query<Row & Record<string, unknown>>(text)).rows;
}
