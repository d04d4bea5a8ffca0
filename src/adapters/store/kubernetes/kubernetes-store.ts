import { fail, MatriarchError } from '#domain/errors.ts';
import type { Store, StoreChange, SwapOutcome, Versioned, WriteOptions } from '#domain/ports/store.ts';
import type { KubeAccess } from '../../kubernetes/access.ts';
import { KubeFailure } from '../../kubernetes/failures.ts';
import { inClusterAccess } from '../../kubernetes/in-cluster.ts';
import { type CallOptions, KubeClient } from '../../kubernetes/kube-client.ts';
import { WatchHub } from '../watch-hub.ts';
import { type Cell, cellText, toVersioned } from './cells.ts';
import { Follower } from './follower.ts';
import { Objects } from './objects.ts';
import { LEADER } from './places.ts';
import { Sightings } from './sightings.ts';

export interface KubernetesStoreOptions {
  /** Names the objects: the Lease `CLUSTER-leader`, the ConfigMap `CLUSTER-records`. */
  readonly cluster: string;
  /** Default: that of the pod, or of the kubeconfig. */
  readonly namespace?: string | undefined;
  /** Default: as the service account of this pod. */
  readonly kubeconfig?: string | undefined;
  /** Members' records stand on their own pods, and go with them. Default: where there is no kubeconfig. */
  readonly pods?: boolean | undefined;
  /** How long a call may take. Default 4000. */
  readonly timeoutMs?: number | undefined;
}

/** A write is a read and a patch (of the Lease, which is known by its watch, a patch), and again when somebody else writes into the same object. */
const DEFAULT_TIMEOUT_MS = 4000;
/** An API server ends a connection that idles for 90 s; whoever is to lead would meet it again by a handshake, on a busy machine. */
const KEEP_WARM_MS = 60_000;
/** A ConfigMap holds 1 MiB of all its keys together. */
const MAX_VALUE_BYTES = 512 << 10;
/** How a server says that the object would be larger than it may be. */
const TOO_LARGE = /Too long|must have at most|too large/;

/**
 * Opens a store in the API server of Kubernetes: the leader's record in a Lease, those of members on their pods, the others in a
 * ConfigMap. Errors: `kubernetes.noAccess`. Later calls: `store.unavailable`, `store.denied`, `store.untrusted`, `store.tooLarge`.
 * Every write is synced by a majority of the etcd behind the server when it is answered, whatever `durable` says; times to live are
 * judged by the monotonic clock of each client, from when it has seen the write.
 */
export async function openKubernetesStore(options: KubernetesStoreOptions): Promise<Store> {
  const access = await findAccess(options);
  const client = new KubeClient(access, { timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS });
  return new KubernetesStore(client, options.namespace ?? access.namespace, {
    cluster: options.cluster,
    pods: options.pods ?? options.kubeconfig === undefined,
  });
}

async function findAccess({ kubeconfig }: KubernetesStoreOptions): Promise<KubeAccess> {
  if (kubeconfig === undefined) return inClusterAccess();
  // Reading a kubeconfig takes a parser of YAML, which an agent in a pod has no use for.
  const { kubeconfigAccess } = await import('../../kubernetes/kubeconfig.ts');
  return kubeconfigAccess({ file: kubeconfig });
}

class KubernetesStore implements Store {
  readonly #client: KubeClient;
  readonly #objects: Objects;
  readonly #watches: WatchHub;
  readonly #warming: NodeJS.Timeout;

  constructor(client: KubeClient, namespace: string, layout: { readonly cluster: string; readonly pods: boolean }) {
    const sightings = new Sightings();
    this.#client = client;
    this.#objects = new Objects(client, namespace, layout, sightings);
    this.#watches = new WatchHub(
      (tell) => new Follower(client, namespace, layout, sightings, tell, (lease) => this.#objects.sawLeader(lease)),
      client.closing,
    );
    this.#warming = setInterval(() => this.get(LEADER).catch(() => {}), KEEP_WARM_MS);
    this.#warming.unref();
  }

  get(key: string, options?: { readonly signal?: AbortSignal }): Promise<Versioned | undefined> {
    return this.#act(options?.signal, async (call) => {
      const cell = await this.#objects.read(key, call);
      return cell === undefined ? undefined : toVersioned(cell);
    });
  }

  list(prefix: string, options?: { readonly signal?: AbortSignal }): Promise<readonly (Versioned & { readonly key: string })[]> {
    return this.#act(options?.signal, async (call) => {
      const cells = await this.#objects.list(prefix, call);
      return cells.map((cell) => ({ key: cell.key, ...toVersioned(cell) }));
    });
  }

  compareAndSet(key: string, expected: number | null, value: unknown, options: WriteOptions = {}): Promise<SwapOutcome> {
    return this.#act(options.signal, async (call) => {
      const judge = (current: Cell | undefined) => ((current?.version ?? null) === expected ? undefined : { current });
      const written = await this.#objects.write({ key, value }, judge, encoder(key, value, options), call);
      if ('version' in written) return { ok: true, version: written.version };
      const { current } = written.refusal;
      return { ok: false, current: current === undefined ? undefined : toVersioned(current) };
    });
  }

  put(key: string, value: unknown, options: WriteOptions = {}): Promise<{ readonly version: number }> {
    return this.#act(options.signal, async (call) => {
      const written = await this.#objects.write<never>({ key, value }, () => undefined, encoder(key, value, options), call);
      if (!('version' in written)) return fail('internal.bug', 'a write without a condition was refused');
      return { version: written.version };
    });
  }

  delete(key: string, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#act(options?.signal, async (call) => {
      const judge = (current: Cell | undefined) => (current === undefined ? 'gone' : undefined);
      await this.#objects.write({ key, value: null }, judge, () => null, call);
    });
  }

  watch(prefix: string, onChange: (change: StoreChange) => void, signal: AbortSignal): void {
    this.#watches.add(prefix, onChange, signal);
  }

  async close(): Promise<void> {
    clearInterval(this.#warming);
    this.#client.close();
    await this.#watches.close();
  }

  async #act<Result>(signal: AbortSignal | undefined, act: (call: CallOptions) => Promise<Result>): Promise<Result> {
    signal?.throwIfAborted();
    const deadline = AbortSignal.timeout(this.#client.timeoutMs);
    try {
      return await act({ signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]) });
    } catch (error) {
      signal?.throwIfAborted();
      if (deadline.aborted) fail('store.unavailable', `Kubernetes: no answer within ${this.#client.timeoutMs} ms`, error);
      if (error instanceof KubeFailure) throw new MatriarchError(storeCode(error), `Kubernetes: ${error.message}`, error);
      throw error;
    }
  }
}

function encoder(key: string, value: unknown, { ttlMs }: WriteOptions): (version: number) => string {
  const bytes = Buffer.byteLength(
    JSON.stringify(value) ?? fail('internal.bug', `${key}: undefined is no value; delete the key instead`),
  );
  if (bytes > MAX_VALUE_BYTES) fail('store.tooLarge', `${key}: ${bytes} bytes`);
  return (version) => cellText({ version, value, ...(ttlMs === undefined ? {} : { ttlMs }) });
}

function storeCode({ code, message }: KubeFailure) {
  switch (code) {
    case 'kubernetes.denied':
      return 'store.denied';
    case 'kubernetes.untrusted':
      return 'store.untrusted';
    case 'kubernetes.tooLarge':
      return 'store.tooLarge';
    case 'kubernetes.refused':
      return TOO_LARGE.test(message) ? 'store.tooLarge' : 'store.unavailable';
    default:
      return 'store.unavailable';
  }
}
