import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import type { StoreChange } from '#domain/ports/store.ts';
import type { KubeClient } from '../../kubernetes/kube-client.ts';
import { ListAndWatch } from '../../kubernetes/list-and-watch.ts';
import { revisionOf, type Selectors } from '../../kubernetes/resources.ts';
import type { StoreFollower } from '../watch-hub.ts';
import { Mirror } from './mirror.ts';
import { type Layout, leaderPlace, memberPods, type Place, recordsPlace, TYPES, textsIn } from './places.ts';
import type { Sightings } from './sightings.ts';

/** A timer of Node.js takes no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Follows the Lease, the ConfigMap and the pods of one cluster as the keys that stand in them. */
export class Follower implements StoreFollower {
  readonly #parts: readonly ListAndWatch[];
  readonly #mirror: Mirror;
  readonly #tell: (changes: readonly StoreChange[]) => void;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(
    client: KubeClient,
    namespace: string,
    layout: Layout,
    sightings: Sightings,
    tell: (changes: readonly StoreChange[]) => void,
    sawLeader: (object: KubeObject | undefined) => void,
  ) {
    this.#mirror = new Mirror(sightings);
    this.#tell = tell;
    const follow = (kind: Place['kind'], selectors: Selectors) =>
      new ListAndWatch(
        client,
        { type: TYPES[kind], namespace, selectors },
        {
          onList: (items) => {
            if (kind === 'leader') sawLeader(items[0]);
            this.#changed(this.#mirror.takeAll(kind, new Map(items.map((item) => [item.metadata.name, read(kind, item)]))));
          },
          onChange: (object) => {
            if (kind === 'leader') sawLeader(object);
            this.#take(kind, object, read(kind, object).texts);
          },
          onGone: (object) => {
            if (kind === 'leader') sawLeader(undefined);
            this.#take(kind, object, new Map());
          },
        },
      );
    const byName = ({ kind, name }: Place) => follow(kind, { fields: `metadata.name=${name}` });
    this.#parts = [
      byName(leaderPlace(layout)),
      byName(recordsPlace(layout)),
      ...(layout.pods ? [follow('pod', { labels: memberPods(layout) })] : []),
    ];
  }

  async run(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.run()));
    clearTimeout(this.#timer);
  }

  async refresh(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.refresh()));
  }

  entries(): readonly StoreChange[] {
    return this.#mirror.entries();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const part of this.#parts) part.stop();
  }

  #take(kind: Place['kind'], object: KubeObject, texts: ReadonlyMap<string, string>): void {
    this.#changed(this.#mirror.take(kind, object.metadata.name, texts, read(kind, object).revision));
  }

  #changed(changes: readonly StoreChange[]): void {
    if (this.#stopped) return;
    if (changes.length > 0) this.#tell(changes);
    clearTimeout(this.#timer);
    const leftMs = this.#mirror.nextExpiryMs();
    if (leftMs === Infinity) return;
    this.#timer = setTimeout(() => this.#changed(this.#mirror.expire()), Math.min(LONGEST_TIMER_MS, Math.ceil(leftMs)));
  }
}

function read(kind: Place['kind'], object: KubeObject) {
  return { texts: textsIn(kind, object), revision: revisionOf(object.metadata.resourceVersion) ?? 0 };
}
