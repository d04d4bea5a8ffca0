import type { PodRole, RoleLabels } from '#adapters/kubernetes/role-labels.ts';
import type { HaState } from '#core/ha/state.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { AgentLog } from './agent-log.ts';

/** Keeps the label of the pod that this member runs in, where it runs in one; undefined elsewhere. Errors: `kubernetes.noAccess`. */
export async function openPodLabels({ store, cluster, name }: MemberConfig, log: AgentLog): Promise<PodLabels | undefined> {
  if (store.kind !== 'kubernetes' || store.kubeconfig !== undefined) return undefined;
  const [{ inClusterAccess }, { KubeClient }, { RoleLabels }] = await Promise.all([
    import('#adapters/kubernetes/in-cluster.ts'),
    import('#adapters/kubernetes/kube-client.ts'),
    import('#adapters/kubernetes/role-labels.ts'),
  ]);
  const client = new KubeClient(await inClusterAccess());
  const onTrouble = (why: string | null) => {
    if (why === null) log.info('services', 'the role of the pod is set');
    else log.warn('services', `the role of the pod cannot be set: ${why}`);
  };
  const namespace = store.namespace ?? client.namespace;
  const labels = new RoleLabels({ client, namespace, cluster, pod: name, onTrouble });
  return new PodLabels(labels, labels.run(), () => client.close());
}

export class PodLabels {
  readonly #labels: RoleLabels;
  readonly #ended: Promise<void>;
  readonly #disconnect: () => void;

  constructor(labels: RoleLabels, ended: Promise<void>, disconnect: () => void) {
    this.#labels = labels;
    this.#ended = ended;
    this.#disconnect = disconnect;
  }

  seen(state: HaState): void {
    const role = podRole(state);
    if (role !== null) this.#labels.set(role);
  }

  async close(): Promise<void> {
    this.#labels.close();
    this.#disconnect();
    await this.#ended;
  }
}

/** Null: not known yet, or about to change, and the label stays what it is. */
export function podRole({ role, record, self }: HaState): PodRole | null {
  const known = record?.value;
  if (known == null) return null;
  if (known.member !== self.name) return { role: 'replica', epoch: known.epoch };
  return role.kind === 'leader' && role.phase === 'serving' ? { role: 'primary', epoch: known.epoch } : null;
}
