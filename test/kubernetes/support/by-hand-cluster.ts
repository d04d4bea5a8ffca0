import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { testImage } from './image.ts';
import { KubeCluster } from './kube-cluster.ts';
import { kubectl } from './kubectl.ts';

/** A cluster by the manifests of `matriarch manifests`, without an operator. */
export class ByHandCluster extends KubeCluster {
  readonly #folder: string;

  private constructor(folder: string) {
    super();
    this.#folder = folder;
  }

  static async create(): Promise<ByHandCluster> {
    const cluster = new ByHandCluster(await mkdtemp(join(tmpdir(), 'matriarch-kube-')));
    await cluster.start(() => cluster.#apply());
    return cluster;
  }

  async #apply(): Promise<void> {
    const { serverVersion } = JSON.parse(await kubectl(['version', '-o', 'json']));
    const version = `${serverVersion.major}.${Number.parseInt(serverVersion.minor, 10)}`;
    const made = await runMatriarch([
      ...['manifests', this.name, '--namespace', this.namespace, '--image', testImage(), '--kubernetes', version],
      ...['--storage-size', '1Gi', '--out', this.#folder],
    ]);
    if (made.code !== 0) throw new Error(made.stderr);
    await this.kubectl('apply', '-f', join(this.#folder, 'postgresql'), '-f', join(this.#folder, 'proxy'));
  }

  /** Adds to the configuration that the ConfigMap declares. */
  async declare(change: Readonly<Record<string, unknown>>): Promise<void> {
    const { data } = await this.get(`configmap/${this.name}-config`);
    const config = { ...JSON.parse(data['cluster.yaml']), ...change };
    const patch = JSON.stringify({ data: { 'cluster.yaml': JSON.stringify(config) } });
    await this.kubectl('patch', `configmap/${this.name}-config`, '--type=merge', '-p', patch);
  }

  override async destroy(): Promise<void> {
    await super.destroy();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
