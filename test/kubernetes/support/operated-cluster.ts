import type { Stage } from '#core/cluster/authority-rotation.ts';
import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import type { PostgresClusterStatus } from '#domain/config/postgres-cluster-status.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { read } from './api.ts';
import { KubeCluster } from './kube-cluster.ts';
import { operatorLog } from './operator-install.ts';

type Spec = Readonly<Record<string, unknown>>;
interface Resource {
  readonly metadata: { readonly generation: number };
  readonly status?: PostgresClusterStatus;
}
type Condition = PostgresClusterStatus['conditions'][number];

/** A cluster by its resource, which the operator looks after. */
export class OperatedCluster extends KubeCluster {
  static async create(spec: Spec = {}): Promise<OperatedCluster> {
    const cluster = new OperatedCluster();
    cluster.instances = typeof spec.instances === 'number' ? spec.instances : cluster.instances;
    await cluster.start(() => cluster.declareAll(spec));
    return cluster;
  }

  /** Makes the resource, or replaces its `spec`. */
  async declareAll(spec: Spec): Promise<void> {
    const { apiVersion, kind } = POSTGRES_CLUSTER;
    await this.apply({ apiVersion, kind, metadata: { name: this.name }, spec });
  }

  /** Changes its `spec`; null takes a field away. */
  async change(spec: Spec): Promise<void> {
    await this.kubectl('patch', 'pgc', this.name, '--type=merge', '-p', JSON.stringify({ spec }));
    if (typeof spec.instances === 'number') this.instances = spec.instances;
  }

  /** By its `/scale`, as `kubectl scale` and autoscalers do it. */
  async scale(instances: number): Promise<void> {
    await this.kubectl('scale', 'pgc', this.name, `--replicas=${instances}`);
    this.instances = instances;
  }

  async resource(): Promise<Resource> {
    const { apiVersion, plural } = POSTGRES_CLUSTER;
    return (await read(`/apis/${apiVersion}/namespaces/${this.namespace}/${plural}/${this.name}`)) as Resource;
  }

  async condition(type: Condition['type']): Promise<Condition | undefined> {
    const { metadata, status } = await this.resource();
    // What is said of an earlier change says nothing of this one.
    return status?.conditions.find((one) => one.type === type && one.observedGeneration === metadata.generation);
  }

  /** Resolves when a condition about the present resource is as `wanted`; gives it. */
  async conditionIs(type: Condition['type'], wanted: Partial<Condition>, timeoutMs?: number): Promise<Condition> {
    const look = async () => {
      const condition = await this.condition(type);
      const same = Object.entries(wanted).every(([field, value]) => condition?.[field as keyof Condition] === value);
      return same ? condition : undefined;
    };
    return this.until(`${type} is ${JSON.stringify(wanted)}`, look, timeoutMs);
  }

  /** Everything is as declared, and everybody in his place. */
  async stable(timeoutMs?: number): Promise<void> {
    await this.conditionIs('Progressing', { status: 'False', reason: 'Stable' }, timeoutMs);
    await this.healed();
  }

  /** The authorities of the cluster (PEM) as clients get them; from now on its clients trust these and no others. */
  async trusted(): Promise<string> {
    await this.findUrls();
    return textOf(await this.get(`secret/${this.name}-member-tls`), 'ca.crt');
  }

  /** Resolves when the change to another authority is at this stage; undefined: at its end. */
  async rotationIs(stage: Stage | undefined): Promise<void> {
    const look = async () => textOf(await this.get(`secret/${this.name}-authority`), 'stage');
    await this.until(`the authority is at ${stage}`, async () => ((await look()) === (stage ?? '') ? true : undefined));
  }

  /** Every pod has by now what the Secrets hold: the stage of a new authority does not wait for the kubelet any longer. */
  async hasten(): Promise<void> {
    const [members, proxies] = await Promise.all(['member', 'proxy'].map((one) => this.get(`secret/${this.name}-${one}-tls`)));
    await this.#lookAgain();
    await this.until('every pod has the files of the Secrets', async () => {
      const pods: Pods = await this.get('pods', '-l', `${LABEL.cluster}=${this.name}`);
      const have = pods.items.map(async ({ metadata: { name, labels } }) => {
        const component = labels[LABEL.component] ?? '';
        const [secret, own] = component === 'proxy' ? [proxies, 'proxy.crt'] : [members, `${name}.crt`];
        const files = await this.kubectl(
          'exec',
          name,
          '-c',
          component,
          '--',
          'sh',
          '-c',
          `cd ${POD.tlsDir} && cat ca.crt ${own}`,
        );
        return files === textOf(secret, 'ca.crt') + textOf(secret, own);
      });
      return (await Promise.all(have)).every(Boolean) ? true : undefined;
    });
    const since = Buffer.from('0').toString('base64');
    await this.kubectl('patch', 'secret', `${this.name}-authority`, '--type=merge', '-p', JSON.stringify({ data: { since } }));
    await this.#lookAgain();
  }

  /** The kubelet looks at the files of a pod that changes, and the operator at its cluster. */
  async #lookAgain(): Promise<void> {
    const labels = `${LABEL.cluster}=${this.name}`;
    await this.kubectl('annotate', 'pods', '-l', labels, `tests/looked=${Date.now()}`, '--overwrite');
  }

  protected override async describe(): Promise<string> {
    const [resource, log] = await Promise.all([this.kubectl('describe', 'pgc', this.name), operatorLog()].map(orSay));
    return `${await super.describe()}\n${resource}\n${log}`;
  }
}

interface Pods {
  readonly items: readonly { readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> } }[];
}

/** Empty: there is no such key. */
function textOf(secret: { readonly data: Readonly<Record<string, string>> }, key: string): string {
  return Buffer.from(secret.data[key] ?? '', 'base64').toString();
}

const orSay = (said: Promise<string>) => said.catch(String);
