import type { CollectionListener } from '#adapters/kubernetes/list-and-watch.ts';
import { revisionOf } from '#adapters/kubernetes/resources.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';

/** Of a cluster: its namespace and name. */
function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ''}/${name}`;
}

/** The objects of all clusters, as the watches tell of them, and as own writes were answered. */
export class ObjectCache {
  readonly #clusters = new Map<string, Map<string, KubeObject>>();
  readonly #onChange: (cluster: string) => void;

  /** `onChange`: something of that cluster is not as it was. */
  constructor(onChange: (cluster: string) => void) {
    this.#onChange = onChange;
  }

  objectsOf(cluster: string): readonly KubeObject[] {
    return [...(this.#clusters.get(cluster)?.values() ?? [])];
  }

  keys(): readonly string[] {
    return [...this.#clusters.keys()];
  }

  get size(): number {
    return this.#clusters.size;
  }

  /** For the watch of one kind. */
  listener(kind: string, onAnswering: (failure: Error | undefined) => void): CollectionListener {
    return {
      onList: (items) => this.#replace(kind, items),
      onChange: (object) => this.put(object),
      onGone: (object) => this.#remove(object),
      onAnswering,
    };
  }

  /** Unless a newer state of it is known. */
  put(object: KubeObject): void {
    const cluster = clusterOf(object);
    if (cluster === undefined) return;
    const objects = this.#clusters.get(cluster) ?? new Map<string, KubeObject>();
    const known = objects.get(idOf(object));
    if (known !== undefined && isOlder(object, known)) return;
    objects.set(idOf(object), lean(object));
    this.#clusters.set(cluster, objects);
    if (known?.metadata.resourceVersion !== object.metadata.resourceVersion) this.#onChange(cluster);
  }

  #remove(object: KubeObject): void {
    const cluster = clusterOf(object);
    const objects = cluster === undefined ? undefined : this.#clusters.get(cluster);
    if (cluster === undefined || objects === undefined) return;
    const known = objects.get(idOf(object));
    // Made anew meanwhile, by an own write whose answer was quicker than the watch.
    if (known === undefined || known.metadata.uid !== object.metadata.uid) return;
    objects.delete(idOf(object));
    if (objects.size === 0) this.#clusters.delete(cluster);
    this.#onChange(cluster);
  }

  #replace(kind: string, items: readonly KubeObject[]): void {
    const standing = new Set(items.map(({ metadata: { uid } }) => uid));
    for (const objects of [...this.#clusters.values()])
      for (const object of [...objects.values()])
        if (object.kind === kind && !standing.has(object.metadata.uid)) this.#remove(object);
    for (const item of items) this.put(item);
  }
}

function clusterOf({ kind, metadata }: KubeObject): string | undefined {
  const name = kind === 'PostgresCluster' ? metadata.name : metadata.labels?.[LABEL.cluster];
  return name === undefined ? undefined : keyOf(metadata.namespace, name);
}

function idOf({ kind, metadata }: KubeObject): string {
  return `${kind}/${metadata.name}`;
}

function isOlder(object: KubeObject, known: KubeObject): boolean {
  if (object.metadata.uid !== known.metadata.uid) return false;
  const [one, other] = [revisionOf(object.metadata.resourceVersion), revisionOf(known.metadata.resourceVersion)];
  return one !== undefined && other !== undefined && one < other;
}

/** Who owns which field is half of an object, and nobody asks for it here. */
function lean(object: KubeObject): KubeObject {
  const { managedFields: _fields, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as KubeObject['metadata'] };
}
