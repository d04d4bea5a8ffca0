import pg from 'pg';
import type { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { resourceTypeOf } from '#adapters/kubernetes/resources.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import { fail } from '#domain/errors.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import type { MemberName } from '#domain/member.ts';
import { keepDeclared } from './keep-declared.ts';

const SECRET = resourceTypeOf({ apiVersion: 'v1', kind: 'Secret' });
/** What a person changes by hand in between, and a password in its Secret, waits so long. */
const LOOK_AGAIN_MS = 60_000;
const CONNECT_MS = 5000;
/** A database is copied from its template; an extension may be large. */
const STATEMENT_MS = 60_000;

/** Keeps the roles, databases and extensions that clusters declare, on their primaries. */
export class DeclaredKeeper {
  readonly #client: KubeClient;
  readonly #kept = new Map<string, { readonly about: string; readonly until: number }>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Gives the statements that it took, without passwords. Errors: PostgreSQL's, `kubernetes.…`, `config.invalid` of a Secret. */
  async keep(
    cluster: PostgresCluster,
    primary: MemberName,
    objects: readonly KubeObject[],
    tls: TlsIdentity,
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { name, namespace, spec } = cluster;
    if (spec.roles.length === 0 && spec.databases.length === 0) return [];
    const key = `${namespace}/${name}`;
    const about = `${cluster.uid} ${cluster.generation} ${primary}`;
    const known = this.#kept.get(key);
    if (known?.about === about && performance.now() < known.until) return [];
    const host = addressOf(primary, objects);
    if (host === undefined) return [];
    const password = await this.#password(namespace, objectNames(name).superuserSecret, signal);
    const user = 'postgres';
    const said = await keepDeclared(spec, await this.#passwords(cluster, signal), (database) =>
      connect({ host, user, password, database, ssl: { ca: tls.ca, servername: primary } }),
    );
    this.#kept.set(key, { about, until: performance.now() + LOOK_AGAIN_MS });
    return said;
  }

  forget(key: string): void {
    this.#kept.delete(key);
  }

  async #passwords({ name, namespace, spec }: PostgresCluster, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const passwords: Record<string, string> = {};
    for (const role of spec.roles.filter(({ login, state }) => login && state === 'present'))
      passwords[role.name] = await this.#password(
        namespace,
        role.passwordSecret ?? objectNames(name).roleSecret(role.name),
        signal,
      );
    return passwords;
  }

  async #password(namespace: string | undefined, secret: string, signal: AbortSignal): Promise<string> {
    const found = await this.#client.get(SECRET, namespace, secret, { signal });
    const { password } = (found?.data ?? {}) as { readonly password?: unknown };
    const text = typeof password === 'string' ? Buffer.from(password, 'base64').toString() : '';
    return text === '' ? fail('config.invalid', `Secret ${secret}: \`password\` is missing`) : text;
  }
}

function addressOf(member: MemberName, objects: readonly KubeObject[]): string | undefined {
  const pod = objects.find(({ kind, metadata }) => kind === 'Pod' && metadata.name === member);
  const { podIP } = (pod?.status ?? {}) as { readonly podIP?: unknown };
  return typeof podIP === 'string' ? podIP : undefined;
}

async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({
    ...config,
    port: POD.postgresPort,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS,
    application_name: 'matriarch operator',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}
