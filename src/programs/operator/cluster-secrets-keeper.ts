import { X509Certificate } from 'node:crypto';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import { createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import { summarize } from '#adapters/tls/check-identity.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import { beginChange, nextStage, trustOf } from '#core/cluster/authority-rotation.ts';
import type { ClusterSecrets } from '#core/cluster/cluster-secrets.ts';
import { needsApply } from '#core/cluster/needs-apply.ts';
import type { MemberView } from '#core/cluster/observed.ts';
import { type KnownSecrets, readSecrets } from '#core/cluster/read-secrets.ts';
import { secretObjects } from '#core/cluster/secret-objects.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import type { MemberName } from '#domain/member.ts';
import { completeSecrets } from '#programs/kubernetes/complete-secrets.ts';
import { fingerprint } from './agent-calls.ts';

const SECRET = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });
/** Secrets are not watched, so that none but those of clusters are ever in memory here: they are looked at so often, and on changes. */
const LOOK_AGAIN_MS = 600_000;
/** An authority is replaced when it has so long left: what it issues lasts a year. */
const REPLACE_BEFORE_MS = 400 * 86_400_000;
/** Where a pod does not come up: it may be a Secret that is gone. */
const IN_DOUBT_MS = 15_000;

export interface KeptSecrets {
  /** By which the operator is known to the agents of the cluster. */
  readonly identity: TlsIdentity;
  /** What each member is to use, as `MemberView.tls` tells it. */
  readonly wanted: ReadonlyMap<MemberName, string>;
  readonly isChanging: boolean;
}

interface Kept extends KeptSecrets {
  readonly about: string;
  readonly until: number;
}

/** Keeps the Secrets of clusters complete, replaces their authorities, and holds what it takes to call their agents. */
export class ClusterSecretsKeeper {
  readonly #client: KubeClient;
  readonly #apply: (object: KubeObject, because: string) => Promise<unknown>;
  readonly #kept = new Map<string, Kept>();

  constructor(client: KubeClient, apply: (object: KubeObject, because: string) => Promise<unknown>) {
    this.#client = client;
    this.#apply = apply;
  }

  /**
   * Completes the Secrets and gives what it takes to call the agents. Errors: `tls.invalid`, also for what is missing and must not be drawn
   * anew; `kubernetes.…`.
   */
  async keep(cluster: PostgresCluster, members: readonly MemberName[], signal: AbortSignal): Promise<KeptSecrets> {
    const about = `${cluster.uid} ${cluster.generation} ${members.join(' ')}`;
    const kept = this.#kept.get(keyOf(cluster));
    if (kept?.about === about && performance.now() < kept.until) return kept;
    const live = await this.#read(cluster, signal);
    const known = readAll(cluster, live);
    const secrets = await this.#complete(cluster, members, live, known, signal);
    const { issuer, bundle } = trustOf(secrets);
    const ca = secrets.change === null ? secrets.trusted : bundle;
    const { certificate, key } = await issueCertificate(issuer, { name: OPERATOR.name, hosts: [] });
    const wanted = new Map(
      Object.entries(secrets.members).map(([name, pair]) => [name, fingerprint(summarize({ ca, ...pair }))] as const),
    );
    const isChanging = secrets.change !== null || isDue(cluster, secrets);
    const next = { about, until: performance.now() + LOOK_AGAIN_MS, identity: { ca, certificate, key }, wanted, isChanging };
    this.#kept.set(keyOf(cluster), next);
    return next;
  }

  /** A step on the way to another authority, where one is wanted; gives what it waits for, null when nothing is under way. */
  async rotate(
    cluster: PostgresCluster,
    members: readonly MemberName[],
    views: Readonly<Record<MemberName, MemberView>>,
    signal: AbortSignal,
  ): Promise<string | null> {
    const kept = this.#kept.get(keyOf(cluster));
    if (kept === undefined || !kept.isChanging) return null;
    const live = await this.#read(cluster, signal);
    const known = readAll(cluster, live);
    const { authority, rotation = 0, change = null } = known;
    if (authority === undefined) return null;
    const state = { authority, rotation, change };
    const now = Date.now();
    const late = members.filter((member) => views[member] === undefined || views[member]?.tls !== kept.wanted.get(member));
    const step =
      change === null
        ? {
            state: beginChange(state, await createAuthority({ cluster: cluster.name }), cluster.spec.tls.rotation, now),
            waitingFor: 'stage 1 of 3 of the new authority',
          }
        : nextStage(state, late, now);
    if (step.state === state) return step.waitingFor;
    await this.#complete(cluster, members, live, { ...known, ...step.state }, signal);
    // What members are to use from now on is another thing.
    this.forget(keyOf(cluster));
    return step.waitingFor;
  }

  /** Something does not work there. */
  doubt(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.set(key, { ...kept, until: Math.min(kept.until, performance.now() + IN_DOUBT_MS) });
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }

  async #complete(
    cluster: PostgresCluster,
    members: readonly MemberName[],
    live: readonly KubeObject[],
    known: KnownSecrets,
    signal: AbortSignal,
  ): Promise<ClusterSecrets> {
    const secrets = await completeSecrets(cluster, members, known);
    // The authority comes first: what stage it is at decides what the others are to hold.
    for (const object of secretObjects(cluster, secrets)) {
      const found = live.find(({ metadata: { name } }) => name === object.metadata.name);
      // Never over one that somebody else has made meanwhile: what was drawn there is in use.
      if (found === undefined) await this.#client.create(SECRET, cluster.namespace, object, { signal });
      else if (needsApply(found, object)) await this.#apply(object, `Secret ${object.metadata.name} lacks something`);
    }
    return secrets;
  }

  async #read({ name, namespace, spec }: PostgresCluster, signal: AbortSignal): Promise<readonly KubeObject[]> {
    const names = objectNames(name);
    const wanted = [
      names.superuserSecret,
      names.replicationSecret,
      names.agentSecret,
      names.authoritySecret,
      names.memberTlsSecret,
      names.proxyTlsSecret,
      ...spec.roles.map((role) => names.roleSecret(role.name)),
    ];
    const found = await Promise.all(wanted.map((one) => this.#client.get(SECRET, namespace, one, { signal })));
    return found.flatMap((secret) => secret ?? []);
  }
}

function keyOf({ namespace, name }: PostgresCluster): string {
  return `${namespace}/${name}`;
}

function readAll({ name, spec }: PostgresCluster, live: readonly KubeObject[]): KnownSecrets {
  const roles = spec.roles.map((role) => role.name);
  return readSecrets(name, roles, live);
}

function isDue({ spec }: PostgresCluster, { rotation, authority }: ClusterSecrets): boolean {
  const lastsMs = new X509Certificate(authority.certificate).validToDate.getTime() - Date.now();
  return spec.tls.rotation > rotation || lastsMs < REPLACE_BEFORE_MS;
}
