import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { NumberedWriter } from '../../support/numbered-writer.ts';
import { kubectl } from './kubectl.ts';

/** Of a crowded machine: a pod takes half a minute to go, and as long to come. */
const HEAL_MS = 180_000;
const LOOK_EVERY_MS = 500;

interface Pod {
  readonly metadata: { readonly name: string; readonly uid: string; readonly labels: Readonly<Record<string, string>> };
  readonly status: {
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number }[];
  };
}

interface Status {
  readonly leader: string | null;
  readonly members: readonly { readonly name: string; readonly state: string }[];
}

/** A cluster by the manifests of `matriarch manifests`, without an operator, in a namespace of its own. */
export class KubeCluster {
  readonly namespace: string;
  readonly name = 'db';
  instances = 3;
  readonly #folder: string;
  #url = '';

  private constructor(namespace: string, folder: string) {
    this.namespace = namespace;
    this.#folder = folder;
  }

  /** Resolves when every member streams and the proxies let clients in. */
  static async create(): Promise<KubeCluster> {
    const namespace = `matriarch-${randomBytes(3).toString('hex')}`;
    const cluster = new KubeCluster(namespace, await mkdtemp(join(tmpdir(), 'matriarch-kube-')));
    await kubectl(['create', 'namespace', namespace]);
    try {
      await cluster.#apply();
      await cluster.healed();
      await cluster.query('create table numbered (series text, number int, primary key (series, number))');
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
    return cluster;
  }

  async #apply(): Promise<void> {
    const { namespace, name } = this;
    const { serverVersion } = JSON.parse(await kubectl(['version', '-o', 'json']));
    const version = `${serverVersion.major}.${Number.parseInt(serverVersion.minor, 10)}`;
    const image = process.env.MATRIARCH_IMAGE ?? 'localhost/matriarch:dev';
    const made = await runMatriarch([
      ...['manifests', name, '--namespace', namespace, '--image', image, '--kubernetes', version],
      ...['--storage-size', '1Gi', '--out', this.#folder],
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    await this.kubectl('apply', '-f', join(this.#folder, 'postgresql'), '-f', join(this.#folder, 'proxy'));
    await this.kubectl(
      'expose',
      'deployment',
      `${name}-proxy`,
      '--type=NodePort',
      '--name=outside',
      '--port=5432',
      '--target-port=postgresql',
    );
    this.#url = await this.#outsideUrl();
  }

  async #outsideUrl(): Promise<string> {
    const [nodes, service, secret] = await Promise.all(
      ['nodes', 'service/outside', `secret/${this.name}-superuser`].map(async (what) =>
        JSON.parse(await this.kubectl('get', what, '-o', 'json')),
      ),
    );
    const addresses: { type: string; address: string }[] = nodes.items[0].status.addresses;
    const host = addresses.find(({ type }) => type === 'InternalIP')?.address;
    const text = (key: string) => encodeURIComponent(Buffer.from(secret.data[key], 'base64').toString('utf8'));
    return `postgresql://${text('username')}:${text('password')}@${host}:${service.spec.ports[0].nodePort}/postgres?x=1`;
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return kubectl(['--namespace', this.namespace, ...args]);
  }

  /** In the container of a member. */
  exec(member: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl('exec', member, '-c', 'postgresql', '--', ...command);
  }

  writer(series: string): NumberedWriter {
    return new NumberedWriter(this.#url, series);
  }

  async query<Row extends object>(text: string): Promise<readonly Row[]> {
    const client = new Client({ connectionString: this.#url });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<Row & Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** Acknowledged numbers that are gone: must be none. */
  async missing(writer: NumberedWriter): Promise<readonly number[]> {
    const client = new Client({ connectionString: this.#url });
    client.on('error', () => {});
    await client.connect();
    try {
      return await writer.missing(client);
    } finally {
      await client.end();
    }
  }

  async pods(): Promise<readonly Pod[]> {
    const selector = `matriarch.dev/cluster=${this.name},matriarch.dev/component=postgresql`;
    return JSON.parse(await this.kubectl('get', 'pods', '-l', selector, '-o', 'json')).items;
  }

  async primary(): Promise<string> {
    const { leader } = await this.until('there is a leader', async () => {
      const status = await this.status();
      return status?.leader == null ? undefined : status;
    });
    return String(leader);
  }

  /** As the first member that can be asked has it. */
  async status(): Promise<Status | undefined> {
    for (const { metadata } of await this.pods()) {
      const status = await this.statusOf(metadata.name);
      if (status !== undefined) return status;
    }
    return undefined;
  }

  async statusOf(member: string): Promise<Status | undefined> {
    const text = await this.exec(member, 'matriarch', 'status', '-o', 'json').catch(() => '');
    return text === '' ? undefined : (JSON.parse(text) as Status);
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

  /** Adds to the configuration that the ConfigMap declares. */
  async declare(change: Readonly<Record<string, unknown>>): Promise<void> {
    const { data } = JSON.parse(await this.kubectl('get', `configmap/${this.name}-config`, '-o', 'json'));
    const config = { ...JSON.parse(data['cluster.yaml']), ...change };
    const patch = JSON.stringify({ data: { 'cluster.yaml': JSON.stringify(config) } });
    await this.kubectl('patch', `configmap/${this.name}-config`, '--type=merge', '-p', patch);
  }

  async setPassword(password: string): Promise<void> {
    const patch = JSON.stringify({ stringData: { password } });
    await this.kubectl('patch', `secret/${this.name}-superuser`, '--type=merge', '-p', patch);
    this.#url = await this.#outsideUrl();
  }

  /** Every member is there, streams or leads, is ready, and its label says what it is. */
  async healed(): Promise<void> {
    await this.until('every member is in its place', async () => {
      const pods = await this.pods();
      if (pods.length !== this.instances || !pods.every(isReady)) return undefined;
      const status = await this.status();
      const places = status?.members.filter(({ state }) => state === 'streaming' || state === 'primary');
      if (status === undefined || places?.length !== this.instances) return undefined;
      const role = ({ name, labels }: Pod['metadata']) =>
        labels['matriarch.dev/role'] === (name === status.leader ? 'primary' : 'replica');
      return pods.every(({ metadata }) => role(metadata)) ? true : undefined;
    });
  }

  async until<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = HEAL_MS): Promise<T> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const found = await look().catch(() => undefined);
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error(`waited in vain: ${what}\n${await this.#describe()}`);
      await sleep(LOOK_EVERY_MS);
    }
  }

  async #describe(): Promise<string> {
    const pods = await this.kubectl('get', 'pods', '-o', 'wide', '-L', 'matriarch.dev/role').catch(String);
    return `${pods}\n${JSON.stringify(await this.status().catch(String), null, 1)}`;
  }

  async destroy(): Promise<void> {
    await kubectl(['delete', 'namespace', this.namespace, '--wait=false']);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
}
