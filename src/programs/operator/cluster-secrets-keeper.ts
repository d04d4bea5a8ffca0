import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import { issueCertificate } from '#adapters/tls/authority.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import { needsApply } from '#core/cluster/needs-apply.ts';
import { lostSecrets, readSecrets } from '#core/cluster/read-secrets.ts';
import { secretObjects } from '#core/cluster/secret-objects.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import { fail } from '#domain/errors.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import type { MemberName } from '#domain/member.ts';
import { completeSecrets } from '#programs/kubernetes/complete-secrets.ts';

const SECRET = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });
/** Secrets are not watched, so that none but those of clusters are ever in memory here: they are looked at so often, and on changes. */
const LOOK_AGAIN_MS = 600_000;
/** Where a pod does not come up: it may be a Secret that is gone. */
const IN_DOUBT_MS = 15_000;

interface Kept {
  readonly about: string;
  readonly until: number;
  readonly identity: TlsIdentity;
}

/** Keeps the Secrets of clusters complete, and holds what it takes to call their agents. */
export class ClusterSecretsKeeper {
  readonly #client: KubeClient;
  readonly #apply: (object: KubeObject, because: string) => Promise<unknown>;
  readonly #kept = new Map<string, Kept>();

  constructor(client: KubeClient, apply: (object: KubeObject, because: string) => Promise<unknown>) {
    this.#client = client;
    this.#apply = apply;
  }

  /**
   * Gives the certificate by which the operator is known to the agents of the cluster. `established`: somebody has led it. Errors:
   * `config.invalid` for what is missing and must not be drawn anew.
   */
  async keep(
    cluster: PostgresCluster,
    members: readonly MemberName[],
    established: boolean,
    signal: AbortSignal,
  ): Promise<TlsIdentity> {
    const key = `${cluster.namespace}/${cluster.name}`;
    const about = `${cluster.uid} ${cluster.generation} ${members.join(' ')}`;
    const kept = this.#kept.get(key);
    if (kept?.about === about && performance.now() < kept.until) return kept.identity;
    const live = await this.#read(cluster, signal);
    const roles = cluster.spec.roles.map(({ name }) => name);
    const known = readSecrets(cluster.name, roles, live);
    const lost = established ? lostSecrets(cluster.name, known) : [];
    if (lost.length > 0)
      fail(
        'config.invalid',
        `Secret ${lost.join(', ')}: is missing or half there, and another one would lock the agents out: make it again as it was (members still have theirs below /etc/matriarch)`,
      );
    const secrets = await completeSecrets(cluster, members, known);
    for (const object of secretObjects(cluster, secrets)) {
      const found = live.find(({ metadata: { name } }) => name === object.metadata.name);
      // Never over one that somebody else has made meanwhile: what was drawn there is in use.
      if (found === undefined) await this.#client.create(SECRET, cluster.namespace, object, { signal });
      else if (needsApply(found, object)) await this.#apply(object, `Secret ${object.metadata.name} lacks something`);
    }
    const { certificate, key: privateKey } = await issueCertificate(secrets.authority, { name: OPERATOR.name, hosts: [] });
    const identity = { ca: secrets.trusted, certificate, key: privateKey };
    this.#kept.set(key, { about, until: performance.now() + LOOK_AGAIN_MS, identity });
    return identity;
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
