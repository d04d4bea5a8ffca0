import { setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { KubeFailure } from './failures.ts';
import type { KubeClient } from './kube-client.ts';
import { LEASES } from './resources.ts';

/**
 * Whoever holds the Lease has not renewed it for so long, by the own clock since its last change was seen: it is taken. The holder has
 * stopped by then, since it gives up sooner. A write a renewal is what this costs, so it is no more than needed.
 */
const LEASE_MS = 30_000;
const RENEW_EVERY_MS = 10_000;
const GIVE_UP_AFTER_MS = 20_000;
const RETRY_MS = 2000;

export interface LeaderElectionOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly lease: string;
  /** Unlike that of every other candidate, and of an earlier life of this one. */
  readonly identity: string;
  readonly onTrouble: (why: string) => void;
}

interface Seen {
  readonly resourceVersion: unknown;
  readonly at: number;
}

/**
 * One of several processes works. Calls `lead` whenever this one is chosen, with a signal that aborts when it is no longer; resolves
 * when `signal` aborts, with the Lease given back so that the next one need not wait.
 */
export async function electLeader(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const lease = new HeldLease(options);
  while (!signal.aborted) {
    if (await lease.tryTo(signal)) await hold(lease, lead, signal);
    await pause(RETRY_MS * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {});
  }
}

async function hold(lease: HeldLease, lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
  const lost = new AbortController();
  const either = AbortSignal.any([signal, lost.signal]);
  const renewing = keep(lease, lost, either);
  try {
    await lead(either);
  } finally {
    lost.abort();
    await renewing;
    await lease.giveBack();
  }
}

async function keep(lease: HeldLease, lost: AbortController, signal: AbortSignal): Promise<void> {
  let renewedAt = performance.now();
  while (!signal.aborted) {
    const wait = performance.now() - renewedAt > RENEW_EVERY_MS ? RETRY_MS : RENEW_EVERY_MS;
    await pause(wait, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    const askedAt = performance.now();
    // A renewal without an answer may not be waited for beyond the time at which another one takes over.
    if (await lease.tryTo(AbortSignal.any([signal, AbortSignal.timeout(RETRY_MS * 2)]))) renewedAt = askedAt;
    else if (performance.now() - renewedAt > GIVE_UP_AFTER_MS || lease.isOthers) return lost.abort();
  }
}

class HeldLease {
  readonly #options: LeaderElectionOptions;
  #seen: Seen | undefined;
  #isOthers = false;

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
  }

  /** As last read. */
  get isOthers(): boolean {
    return this.#isOthers;
  }

  /** Takes or renews it; false when that did not work. */
  async tryTo(signal: AbortSignal): Promise<boolean> {
    const { client, namespace, lease, identity, onTrouble } = this.#options;
    try {
      const found = await client.get(LEASES, namespace, lease, { signal });
      if (found === undefined) {
        const metadata = { name: lease, namespace };
        const object = {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata,
          spec: { ...this.#spec(), acquireTime: now() },
        };
        await client.create(LEASES, namespace, object, { signal });
        return true;
      }
      const holder = holderOf(found);
      this.#isOthers = holder !== identity && holder !== '';
      if (this.#isOthers && !this.#hasRunOut(found)) return false;
      const { resourceVersion } = found.metadata;
      const taken = holder === identity ? {} : { acquireTime: now() };
      await client.patch(
        LEASES,
        namespace,
        lease,
        'merge',
        { metadata: { resourceVersion }, spec: { ...this.#spec(), ...taken } },
        { signal },
      );
      this.#isOthers = false;
      return true;
    } catch (error) {
      if (error instanceof KubeFailure && error.code !== 'kubernetes.conflict') onTrouble(error.message);
      return false;
    }
  }

  async giveBack(): Promise<void> {
    const { client, namespace, lease, identity } = this.#options;
    try {
      const found = await client.get(LEASES, namespace, lease);
      if (found === undefined || holderOf(found) !== identity) return;
      const { resourceVersion } = found.metadata;
      await client.patch(LEASES, namespace, lease, 'merge', { metadata: { resourceVersion }, spec: { holderIdentity: null } });
    } catch {
      // It runs out.
    }
  }

  #hasRunOut({ metadata: { resourceVersion } }: KubeObject): boolean {
    const known = this.#seen;
    const isSame = known !== undefined && known.resourceVersion === resourceVersion;
    const seen = isSame ? known : { resourceVersion, at: performance.now() };
    this.#seen = seen;
    return performance.now() - seen.at > LEASE_MS;
  }

  #spec() {
    return { holderIdentity: this.#options.identity, leaseDurationSeconds: LEASE_MS / 1000, renewTime: now() };
  }
}

function holderOf({ spec }: KubeObject): string {
  const { holderIdentity } = (spec ?? {}) as { holderIdentity?: unknown };
  return typeof holderIdentity === 'string' ? holderIdentity : '';
}

/** A `MicroTime`: exactly six digits. */
function now(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
