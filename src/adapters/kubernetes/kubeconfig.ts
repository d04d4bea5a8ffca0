import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { fail } from '#domain/errors.ts';
import type { CredentialSource, KubeAccess, KubeCredentials } from './access.ts';

const run = promisify(execFile);
const EXEC_TIMEOUT_MS = 30_000;
const MAX_EXEC_OUTPUT_BYTES = 1 << 20;
/** A credential of a plugin is asked for anew when it has less left than this. */
const EXEC_MARGIN_MS = 60_000;

const clusterSchema = z.looseObject({
  server: z.string(),
  'certificate-authority': z.string().optional(),
  'certificate-authority-data': z.base64().optional(),
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': z.string().optional(),
  'proxy-url': z.string().optional(),
});

const execSchema = z.looseObject({
  apiVersion: z.string(),
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
  installHint: z.string().optional(),
});

const userSchema = z.looseObject({
  'client-certificate': z.string().optional(),
  'client-certificate-data': z.base64().optional(),
  'client-key': z.string().optional(),
  'client-key-data': z.base64().optional(),
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  username: z.string().optional(),
  'auth-provider': z.unknown().optional(),
  exec: execSchema.nullish(),
});

const contextSchema = z.looseObject({ cluster: z.string(), user: z.string().optional(), namespace: z.string().optional() });

const fileSchema = z.looseObject({
  'current-context': z.string().optional(),
  clusters: z.array(z.looseObject({ name: z.string(), cluster: clusterSchema })).nullish(),
  users: z.array(z.looseObject({ name: z.string(), user: userSchema })).nullish(),
  contexts: z.array(z.looseObject({ name: z.string(), context: contextSchema })).nullish(),
});

const credentialSchema = z.looseObject({
  status: z.looseObject({
    token: z.string().optional(),
    clientCertificateData: z.string().optional(),
    clientKeyData: z.string().optional(),
    expirationTimestamp: z.string().optional(),
  }),
});

type Cluster = z.output<typeof clusterSchema>;
type User = z.output<typeof userSchema>;
type Exec = z.output<typeof execSchema>;

export interface KubeconfigOptions {
  /** Default: that of KUBECONFIG, or `~/.kube/config`. */
  readonly file?: string;
  /** Default: the current one of the file. */
  readonly context?: string;
}

/** The API server that a kubeconfig names, for people and tests. Errors: `kubernetes.noAccess`, which names the file and the place. */
export async function kubeconfigAccess(options: KubeconfigOptions = {}): Promise<KubeAccess> {
  const file = options.file ?? process.env.KUBECONFIG ?? join(homedir(), '.kube', 'config');
  if (file.includes(':') && options.file === undefined)
    fail(
      'kubernetes.noAccess',
      `KUBECONFIG=${file}: several files are not put together here; name one, or make one with \`kubectl config view --flatten\``,
    );
  const config = await readConfig(file);
  const chosen = options.context ?? config['current-context'];
  if (chosen === undefined || chosen === '') fail('kubernetes.noAccess', `${file}: names no current context`);
  const { context } = find(config.contexts, 'context', chosen, file);
  const { cluster } = find(config.clusters, 'cluster', context.cluster, file);
  const { user } = context.user === undefined ? { user: {} } : find(config.users, 'user', context.user, file);
  refuseWhatIsMissing(cluster, user, file);
  if (!URL.canParse(cluster.server)) fail('kubernetes.noAccess', `${file}: ${JSON.stringify(cluster.server)} is no URL`);
  return {
    server: new URL(cluster.server),
    namespace: context.namespace ?? 'default',
    credentials: new FileCredentials(cluster, user, file),
  };
}

async function readConfig(file: string): Promise<z.output<typeof fileSchema>> {
  let json: unknown;
  try {
    // Only where somebody is at the keyboard: an agent in a pod never loads it.
    const { default: yaml } = await import('yaml');
    json = yaml.parse(await readFile(file, 'utf8'));
  } catch (error) {
    return fail('kubernetes.noAccess', `${file}: ${(error as Error).message}`, error);
  }
  const read = fileSchema.safeParse(json);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  return fail('kubernetes.noAccess', `${file}: ${issue?.path.join('.')}: ${issue?.message}`);
}

function find<Entry extends { readonly name: string }>(
  list: readonly Entry[] | null | undefined,
  kind: string,
  name: string,
  file: string,
): Entry {
  const found = list?.find((entry) => entry.name === name);
  return found ?? fail('kubernetes.noAccess', `${file}: has no ${kind} ${JSON.stringify(name)}`);
}

/** What would be passed over in silence, and then refused by the server with a sentence about something else. */
function refuseWhatIsMissing(cluster: Cluster, user: User, file: string): void {
  const refuse = (what: string): never =>
    fail('kubernetes.noAccess', `${file}: ${what} is not supported; use a token, a client certificate, or an exec plugin`);
  if (cluster['proxy-url'] !== undefined) refuse('proxy-url');
  if (user.username !== undefined) refuse('username with password');
  if (user['auth-provider'] !== undefined && user['auth-provider'] !== null) refuse('auth-provider');
}

class FileCredentials implements CredentialSource {
  readonly #cluster: Cluster;
  readonly #user: User;
  readonly #file: string;
  #plugin: { readonly credentials: Partial<KubeCredentials>; readonly until: number } | undefined;

  constructor(cluster: Cluster, user: User, file: string) {
    this.#cluster = cluster;
    this.#user = user;
    this.#file = file;
  }

  async read(): Promise<KubeCredentials> {
    const cluster = this.#cluster;
    const user = this.#user;
    const [ca, certificate, key] = await Promise.all([
      this.#pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
      this.#pem(user['client-certificate-data'], user['client-certificate']),
      this.#pem(user['client-key-data'], user['client-key']),
    ]);
    const token = user.tokenFile === undefined ? user.token : (await this.#text(user.tokenFile)).trim();
    const given = {
      ca,
      certificate,
      key,
      token,
      servername: cluster['tls-server-name'],
      insecure: cluster['insecure-skip-tls-verify'],
    };
    return user.exec == null ? given : { ...given, ...(await this.#fromPlugin(user.exec)) };
  }

  async #fromPlugin(exec: Exec): Promise<Partial<KubeCredentials>> {
    if (this.#plugin === undefined || performance.now() > this.#plugin.until) this.#plugin = await this.#ask(exec);
    return this.#plugin.credentials;
  }

  /** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins */
  async #ask({ apiVersion, command, args, env, installHint }: Exec) {
    const info = JSON.stringify({ apiVersion, kind: 'ExecCredential', spec: { interactive: false } });
    const more = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
    const place = command.includes('/') && !isAbsolute(command) ? join(dirname(this.#file), command) : command;
    try {
      const { stdout } = await run(place, args ?? [], {
        env: { ...process.env, ...more, KUBERNETES_EXEC_INFO: info },
        timeout: EXEC_TIMEOUT_MS,
        maxBuffer: MAX_EXEC_OUTPUT_BYTES,
      });
      const {
        token,
        clientCertificateData: certificate,
        clientKeyData: key,
        expirationTimestamp,
      } = credentialSchema.parse(JSON.parse(stdout)).status;
      const leftMs = expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp) - Date.now();
      const pair = certificate === undefined || key === undefined ? {} : { certificate, key };
      return {
        credentials: { ...(token === undefined ? {} : { token }), ...pair },
        until: performance.now() + leftMs - EXEC_MARGIN_MS,
      };
    } catch (error) {
      // What it printed may hold a token.
      const why =
        error instanceof z.ZodError || error instanceof SyntaxError ? 'printed no ExecCredential' : (error as Error).message;
      return fail(
        'kubernetes.noAccess',
        `${this.#file}: the plugin ${command}: ${why}${installHint === undefined ? '' : `\n${installHint}`}`,
      );
    }
  }

  async #pem(data: string | undefined, file: string | undefined): Promise<string | undefined> {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return file === undefined ? undefined : this.#text(file);
  }

  async #text(path: string): Promise<string> {
    try {
      return await readFile(isAbsolute(path) ? path : join(dirname(this.#file), path), 'utf8');
    } catch (error) {
      return fail('kubernetes.noAccess', `${this.#file}: ${(error as Error).message}`, error);
    }
  }
}
