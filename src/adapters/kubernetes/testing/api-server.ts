import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { EtcdMember } from '../../store/etcd/testing/etcd-member.ts';
import { freePorts } from '../../store/etcd/testing/free-ports.ts';
import { createAuthority, issueCertificate } from '../../tls/authority.ts';
import type { KubeAccess } from '../access.ts';
import { Connection } from '../connection.ts';
import { KubeClient } from '../kube-client.ts';
import { pathOf, type ResourceType } from '../resources.ts';

const ADMIN_TOKEN = 'admin-token';
const ISSUER = 'https://kubernetes.default.svc';
const LOG_KEPT = 20_000;
const READY_PAUSE_MS = 50;
const REVIEW_MS = 30_000;
const NAMESPACES: ResourceType = { group: '', version: 'v1', plural: 'namespaces', namespaced: false };

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

interface ServerTls {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** A kube-apiserver and the etcd behind it, on free ports and in a temporary folder. No controllers and no kubelet: nothing runs. */
export class ApiServer {
  readonly folder: string;
  readonly etcd: EtcdMember;
  readonly url: string;
  readonly ca: string;
  /** Of the server, with its key. */
  readonly certificate: string;
  readonly key: string;
  readonly #port: number;
  readonly #signingKey: string;
  #child: ChildProcess | undefined;
  /** The end of what it has logged. */
  log = '';
  #namespaces = 0;

  private constructor(folder: string, etcd: EtcdMember, port: number, tls: ServerTls, signingKey: string) {
    this.folder = folder;
    this.etcd = etcd;
    this.url = `https://127.0.0.1:${port}`;
    this.ca = tls.ca;
    this.certificate = tls.certificate;
    this.key = tls.key;
    this.#port = port;
    this.#signingKey = signingKey;
  }

  static async start(): Promise<ApiServer> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-kube-'));
    const [clientPort, peerPort, port = 0] = await freePorts(3);
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const etcd = new EtcdMember({
      command: binary('etcd'),
      name: 'kube',
      dataDir: join(folder, 'etcd'),
      clientUrl: `http://127.0.0.1:${clientPort}`,
      peerUrl,
      initialCluster: `kube=${peerUrl}`,
      extraArguments: ['--unsafe-no-fsync'],
    });
    const tls = await ApiServer.certificate();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const signingKey = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const files = { 'server.crt': tls.certificate, 'server.key': tls.key, 'ca.crt': tls.ca, 'sa.key': signingKey };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
    writeFileSync(join(folder, 'tokens.csv'), `${ADMIN_TOKEN},admin,admin,"system:masters"\n`, { mode: 0o600 });
    const server = new ApiServer(folder, etcd, port, tls, signingKey);
    try {
      await etcd.start();
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  /** Such as a server shows, of an authority of its own. */
  static async certificate(): Promise<ServerTls> {
    const authority = await createAuthority({ cluster: 'kube' });
    const issued = await issueCertificate(authority, { name: 'kube-apiserver', hosts: ['127.0.0.1', 'localhost'] });
    return { ca: authority.certificate, ...issued };
  }

  /** May do everything. */
  access(options: { readonly url?: string; readonly token?: string; readonly namespace?: string } = {}): KubeAccess {
    const { url = this.url, token = ADMIN_TOKEN, namespace = 'default' } = options;
    return { server: new URL(url), namespace, credentials: { read: async () => ({ ca: this.ca, token }) } };
  }

  client(options?: { readonly timeoutMs?: number }): KubeClient {
    return new KubeClient(this.access(), options);
  }

  /** A file for `KUBECONFIG`. */
  writeKubeconfig(options: { readonly url?: string; readonly namespace?: string; readonly tokenFile?: string } = {}): string {
    const { url = this.url, namespace = 'default', tokenFile } = options;
    const path = join(this.folder, `kubeconfig-${namespace}-${new URL(url).port}-${tokenFile === undefined ? 'admin' : 'token'}`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
      clusters: [{ name: 'test', cluster: { server: url, 'certificate-authority': join(this.folder, 'ca.crt') } }],
      users: [{ name: 'test', user: tokenFile === undefined ? { token: ADMIN_TOKEN } : { tokenFile } }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** A new one, by its name. */
  async createNamespace(): Promise<string> {
    this.#namespaces += 1;
    const name = `test-${process.pid}-${this.#namespaces}`;
    const client = this.client();
    await client.create(NAMESPACES, undefined, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    client.close();
    return name;
  }

  /** Resolves when the server holds objects of that kind. */
  async define(definition: KubeObject): Promise<void> {
    const client = this.client();
    const type = { group: 'apiextensions.k8s.io', version: 'v1', plural: 'customresourcedefinitions', namespaced: false };
    await client.apply(type, undefined, definition, { fieldManager: 'test' });
    const { group, names, versions } = definition.spec as {
      readonly group: string;
      readonly names: { readonly plural: string };
      readonly versions: readonly { readonly name: string }[];
    };
    const defined = { group, version: versions[0]?.name ?? '', plural: names.plural, namespaced: true };
    const isServed = () =>
      client.list(defined, undefined).then(
        () => true,
        () => false,
      );
    while (!(await isServed())) await pause(READY_PAUSE_MS);
    client.close();
  }

  /** As the server would issue it for a service account; it expires after so many seconds. */
  async issueToken(namespace: string, account: string, seconds: number): Promise<string> {
    const client = this.client();
    const type = { group: '', version: 'v1', plural: 'serviceaccounts', namespaced: true };
    const known =
      (await client.get(type, namespace, account)) ??
      (await client.create(type, namespace, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account } }));
    client.close();
    const now = Math.floor(Date.now() / 1000);
    const payload = {
      iss: ISSUER,
      aud: [ISSUER],
      sub: `system:serviceaccount:${namespace}:${account}`,
      iat: now - 3600,
      nbf: now - 3600,
      exp: now + seconds,
      'kubernetes.io': { namespace, serviceaccount: { name: account, uid: known.metadata.uid } },
    };
    const text = [{ alg: 'RS256', typ: 'JWT' }, payload]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${sign('sha256', Buffer.from(text), this.#signingKey).toString('base64url')}`;
  }

  /** What its authorizer says: whether `user` may do that. A review has no name, so it is none of the client's objects. */
  async allows(user: string, resourceAttributes: Readonly<Record<string, string>>): Promise<boolean> {
    const connection = new Connection(this.access());
    const review = { apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user, resourceAttributes } };
    const { status, text } = await connection.exchange({
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      payload: Buffer.from(JSON.stringify(review)),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(REVIEW_MS),
    });
    connection.close();
    if (status !== 201) throw new Error(text);
    return (JSON.parse(text) as { readonly status: { readonly allowed: boolean } }).status.allowed;
  }

  /** The service account may do everything in its namespace from now on. */
  async allowEverything(namespace: string, account: string): Promise<void> {
    const client = this.client();
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    const subjects = [{ kind: 'ServiceAccount', name: account, namespace }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const type = { group: 'rbac.authorization.k8s.io', version: 'v1', plural: 'rolebindings', namespaced: true };
    await client.create(type, namespace, { apiVersion, kind: 'RoleBinding', metadata: { name: account }, subjects, roleRef });
    client.close();
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const child = spawn(binary('kube-apiserver'), this.#arguments(), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    living.add(child);
    const ended = new AbortController();
    for (const output of [child.stdout, child.stderr]) {
      output.on('data', (chunk: Buffer) => {
        this.log = (this.log + chunk.toString('utf8')).slice(-LOG_KEPT);
      });
    }
    child.on('error', (error) => ended.abort(error));
    child.on('exit', (code, signal) => {
      living.delete(child);
      ended.abort(new Error(`kube-apiserver ended with ${code ?? signal}:\n${this.log}`));
    });
    const client = this.client({ timeoutMs: 1000 });
    // The server makes this one when everything else of it is ready.
    const isReady = () =>
      client.read(pathOf(NAMESPACES, undefined, 'default')).then(
        () => true,
        () => false,
      );
    while (!(await isReady())) await pause(READY_PAUSE_MS, undefined, { signal: ended.signal });
    client.close();
  }

  /** Resolves when its process is gone. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async remove(): Promise<void> {
    await this.kill();
    await this.etcd.kill();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  #arguments(): string[] {
    const file = (name: string) => join(this.folder, name);
    return [
      ...['--etcd-servers', this.etcd.clientUrl],
      ...['--bind-address', '127.0.0.1', '--advertise-address', '127.0.0.1', '--secure-port', String(this.#port)],
      ...['--tls-cert-file', file('server.crt'), '--tls-private-key-file', file('server.key')],
      ...['--service-account-key-file', file('sa.key'), '--service-account-signing-key-file', file('sa.key')],
      ...['--service-account-issuer', ISSUER, '--token-auth-file', file('tokens.csv')],
      ...['--authorization-mode', 'RBAC', '--service-cluster-ip-range', '10.0.0.0/20'],
      // Nobody makes the service account that a pod would be given.
      ...['--disable-admission-plugins', 'ServiceAccount'],
    ];
  }
}

function binary(name: string): string {
  const folders = [process.env.KUBEBUILDER_ASSETS ?? '', ...(name === 'etcd' ? (process.env.PATH ?? '').split(delimiter) : [])];
  const found = folders.map((folder) => join(folder, name)).find((path) => folders[0] !== '' && existsSync(path));
  if (found !== undefined) return found;
  throw new Error(`no ${name}: name the folder of kube-apiserver and etcd in KUBEBUILDER_ASSETS, as for envtest of Kubernetes`);
}
