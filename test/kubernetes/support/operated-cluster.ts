import { POSTGRES_CLUSTER } from '#domain/config/postgres-cluster.ts';
import type { PostgresClusterStatus } from '#domain/config/postgres-cluster-status.ts';
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

  protected override async describe(): Promise<string> {
    const [resource, log] = await Promise.all([this.kubectl('describe', 'pgc', this.name), operatorLog()].map(orSay));
    return `${await super.describe()}\n${resource}\n${log}`;
  }
}

const orSay = (said: Promise<string>) => said.catch(String);
