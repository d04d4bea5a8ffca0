import { setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { KubeFailure } from '../../kubernetes/failures.ts';
import type { CallOptions, KubeClient } from '../../kubernetes/kube-client.ts';
import { revisionOf } from '../../kubernetes/resources.ts';
import { type Cell, readCell } from './cells.ts';
import {
  isMemberPod,
  type Layout,
  leaderPlace,
  memberPods,
  objectWith,
  type Place,
  patchOf,
  placeOf,
  reaches,
  recordsPlace,
  TYPES,
  textsIn,
  type Write,
} from './places.ts';
import type { Sightings } from './sightings.ts';

/** Between attempts of a write that somebody else's overtook, doubling, and random: two that collide would collide again. */
const CONFLICT_PAUSE_MS = { first: 4, longest: 200 } as const;

/** An object as it was read, with what of it is alive. */
interface Found {
  readonly object: KubeObject;
  readonly resourceVersion: string;
  readonly revision: number;
  readonly alive: ReadonlyMap<string, Cell>;
  readonly expired: readonly string[];
}

export interface Change {
  readonly key: string;
  /** Null: it goes. */
  readonly value: unknown;
  readonly ttlMs?: number | undefined;
}

/** The objects of one cluster that hold its keys: reads of their newest state, and writes that hold for one version of an object. */
export class Objects {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #layout: Layout;
  readonly #sightings: Sightings;
  #leader: KubeObject | undefined;

  constructor(client: KubeClient, namespace: string, layout: Layout, sightings: Sightings) {
    this.#client = client;
    this.#namespace = namespace;
    this.#layout = layout;
    this.#sightings = sightings;
  }

  /** The newest Lease that this client has come across: a write of it begins with that, and spares a failover one call. */
  sawLeader(object: KubeObject | undefined): void {
    const known = revisionOf(this.#leader?.metadata.resourceVersion) ?? 0;
    if (object === undefined || (revisionOf(object.metadata.resourceVersion) ?? 0) > known) this.#leader = object;
  }

  async read(key: string, options: CallOptions): Promise<Cell | undefined> {
    return (await this.#find(placeOf(key, this.#layout), options))?.alive.get(key);
  }

  /** By key. */
  async list(prefix: string, options: CallOptions): Promise<readonly (Cell & { readonly key: string })[]> {
    const one = async (place: Place) => (await this.#find(place, options))?.alive;
    const parts = await Promise.all([
      one(recordsPlace(this.#layout)),
      ...(reaches(prefix, 'leader') ? [one(leaderPlace(this.#layout))] : []),
      ...(this.#layout.pods && reaches(prefix, 'pod') ? [this.#onPods(options)] : []),
    ]);
    const cells = parts.flatMap((part) => [...(part ?? [])].map(([key, cell]) => ({ key, ...cell })));
    return cells
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  /**
   * Writes when `judge` lets it, on what stands at that moment: a write of anybody into the same object in between means that it is
   * read and judged again. Gives the version written, or what `judge` has refused it with.
   */
  async write<Refusal>(
    change: Change,
    judge: (current: Cell | undefined) => Refusal | undefined,
    encode: (version: number) => string | null,
    options: CallOptions,
  ): Promise<{ readonly version: number } | { readonly refusal: Refusal }> {
    const { key, value } = change;
    const place = placeOf(key, this.#layout);
    let known = place.kind === 'leader' && this.#leader !== undefined ? this.#sort(place.kind, this.#leader) : undefined;
    for (let attempt = 0; ; attempt++) {
      const found = known ?? (await this.#find(place, options));
      const refusal = judge(found?.alive.get(key));
      // What is refused may have changed since; what is written only lands on what was judged.
      if (refusal !== undefined && known === undefined) return { refusal };
      known = undefined;
      if (refusal !== undefined) continue;
      const version = found?.revision ?? (await this.#revisionWithout(place, options));
      const write = { key, text: encode(version), value, expired: found?.expired.filter((other) => other !== key) ?? [] };
      if (await this.#attempt(place, found, write, options)) return { version };
      const { first, longest } = CONFLICT_PAUSE_MS;
      const ms = Math.min(longest, first * 2 ** Math.min(attempt, 10)) * Math.random();
      await pause(ms, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }

  /** False: somebody else was first. */
  async #attempt(place: Place, found: Found | undefined, write: Write, options: CallOptions): Promise<boolean> {
    const type = TYPES[place.kind];
    try {
      if (found === undefined) {
        const object = objectWith(place, write, this.#layout);
        if (object === undefined) throw new KubeFailure('kubernetes.notFound', `${write.key}: there is no pod ${place.name}`);
        await this.#client.create(type, this.#namespace, object, options);
      } else {
        const patch = patchOf(place.kind, found.resourceVersion, write);
        const written = await this.#client.patch(type, this.#namespace, place.name, 'merge', patch, options);
        if (place.kind === 'leader') this.sawLeader(written);
      }
      return true;
    } catch (error) {
      if (!(error instanceof KubeFailure)) throw error;
      // Deleted since it was read; a creation that does not find its namespace will not find it next time.
      const isOvertaken = error.code === 'kubernetes.conflict' || (error.code === 'kubernetes.notFound' && found !== undefined);
      if (!isOvertaken) throw error;
      return false;
    }
  }

  async #find(place: Place, options: CallOptions): Promise<Found | undefined> {
    const object = await this.#client.get(TYPES[place.kind], this.#namespace, place.name, options);
    if (place.kind === 'leader') this.sawLeader(object);
    if (object === undefined || (place.kind === 'pod' && !isMemberPod(object, this.#layout))) return undefined;
    return this.#sort(place.kind, object);
  }

  async #onPods(options: CallOptions): Promise<ReadonlyMap<string, Cell>> {
    const { items } = await this.#client.list(TYPES.pod, this.#namespace, { labels: memberPods(this.#layout) }, options);
    return new Map(items.flatMap((pod) => [...this.#sort('pod', pod).alive]));
  }

  #sort(kind: Place['kind'], object: KubeObject): Found {
    const { resourceVersion } = object.metadata;
    const revision = toRevision(resourceVersion);
    const alive = new Map<string, Cell>();
    const expired: string[] = [];
    for (const [key, text] of textsIn(kind, object)) {
      const cell = readCell(text, revision);
      if (this.#sightings.leftMs(key, cell) > 0) alive.set(key, cell);
      else expired.push(key);
    }
    return { object, resourceVersion: resourceVersion as string, revision, alive, expired };
  }

  /** Where there is no object, a number that is above the versions of all that was ever in one of its name. */
  async #revisionWithout(place: Place, options: CallOptions): Promise<number> {
    const selectors = { fields: `metadata.name=${place.name}` };
    return toRevision(await this.#client.resourceVersion(TYPES[place.kind], this.#namespace, selectors, options));
  }
}

function toRevision(resourceVersion: unknown): number {
  const revision = revisionOf(resourceVersion);
  if (revision !== undefined) return revision;
  throw new KubeFailure(
    'kubernetes.unavailable',
    `${JSON.stringify(resourceVersion)} is no resource version that can be compared`,
  );
}
