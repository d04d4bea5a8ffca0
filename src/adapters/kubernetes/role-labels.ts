import { setTimeout as pause } from 'node:timers/promises';
import { ANNOTATION, LABEL } from '#domain/kubernetes/labels.ts';
import { KubeFailure } from './failures.ts';
import type { KubeClient } from './kube-client.ts';
import { type KubeObject, PODS } from './resources.ts';

/** Somebody may have changed a label by hand, or a pod may be new: looked at so often. */
const LOOK_AGAIN_MS = 60_000;
const RETRY_MS = { first: 100, longest: 5000 } as const;

export interface PodRole {
  readonly role: 'primary' | 'replica';
  /** Of the leader that is known: a higher one has the last word. */
  readonly epoch: number;
}

export interface RoleLabelsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly cluster: string;
  /** The pod of this member. */
  readonly pod: string;
  /** What does not work, told once until it works; null when it does. */
  readonly onTrouble: (why: string | null) => void;
}

/**
 * The label by which Services find the primary and the replicas. A primary sets its own and makes every other member's pod a replica;
 * anybody else sets its own. Each write holds for one version of the pod, and none for a pod that was labelled in a later epoch: what
 * a leader wanted before it was suspended for a minute must not undo what the next one has done.
 */
export class RoleLabels {
  readonly #options: RoleLabelsOptions;
  readonly #closing = new AbortController();
  #wanted: PodRole | undefined;
  #changed = Promise.withResolvers<void>();
  #trouble = false;

  constructor(options: RoleLabelsOptions) {
    this.#options = options;
  }

  set(wanted: PodRole): void {
    const { role, epoch } = this.#wanted ?? {};
    if (role === wanted.role && epoch === wanted.epoch) return;
    this.#wanted = wanted;
    this.#changed.resolve();
  }

  /** Resolves when it is closed. */
  async run(): Promise<void> {
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      const wanted = this.#wanted;
      this.#changed = Promise.withResolvers();
      try {
        if (wanted !== undefined) await this.#label(wanted);
        this.#tell(null);
        failures = 0;
        await this.#rest(LOOK_AGAIN_MS);
      } catch (error) {
        if (signal.aborted) return;
        this.#tell((error as Error).message);
        failures += 1;
        await this.#rest(Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(failures, 10)));
      }
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #label(wanted: PodRole): Promise<void> {
    const { client, namespace, cluster, pod } = this.#options;
    const { signal } = this.#closing;
    await this.#labelOne(await client.get(PODS, namespace, pod, { signal }), wanted);
    if (wanted.role !== 'primary') return;
    const labels = `${LABEL.cluster}=${cluster},${LABEL.component}=postgresql`;
    const { items } = await client.list(PODS, namespace, { labels }, { signal });
    const others = items.filter(({ metadata: { name } }) => name !== pod);
    await Promise.all(others.map((other) => this.#labelOne(other, { ...wanted, role: 'replica' })));
  }

  async #labelOne(found: KubeObject | undefined, { role, epoch }: PodRole): Promise<void> {
    const { client, namespace, cluster } = this.#options;
    const { signal } = this.#closing;
    for (let pod = found; pod !== undefined; ) {
      const { name, resourceVersion, labels, annotations } = pod.metadata;
      const known = Number(annotations?.[ANNOTATION.roleEpoch] ?? 0);
      if (labels?.[LABEL.cluster] !== cluster || known > epoch) return;
      if (labels[LABEL.role] === role && known === epoch) return;
      // In the same epoch only its leader says who is primary, and what is not the primary is a replica.
      const metadata = {
        resourceVersion,
        labels: { [LABEL.role]: role },
        annotations: { [ANNOTATION.roleEpoch]: String(epoch) },
      };
      try {
        await client.patch(PODS, namespace, name, 'merge', { metadata }, { signal });
        return;
      } catch (error) {
        if (!(error instanceof KubeFailure) || (error.code !== 'kubernetes.conflict' && error.code !== 'kubernetes.notFound'))
          throw error;
        pod = await client.get(PODS, namespace, name, { signal });
      }
    }
  }

  /** Until something else is wanted, at the most so long. */
  async #rest(ms: number): Promise<void> {
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, this.#closing.signal]);
    await Promise.race([this.#changed.promise, pause(ms, undefined, { signal, ref: false })]).catch(() => {});
    timer.abort();
  }

  #tell(why: string | null): void {
    const trouble = why !== null;
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    this.#options.onTrouble(why);
  }
}
