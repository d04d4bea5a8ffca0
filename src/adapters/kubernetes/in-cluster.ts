import { readFile } from 'node:fs/promises';
import { fail } from '#domain/errors.ts';
import type { KubeAccess } from './access.ts';

/** What the kubelet mounts into a pod (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/). */
const MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export interface InClusterOptions {
  /** Default: that of the process. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The folder of `token`, `ca.crt` and `namespace`. */
  readonly mount?: string;
}

/** Does this process run in a pod with a service account? */
export function isInCluster(environment: Readonly<Record<string, string | undefined>> = process.env): boolean {
  return environment.KUBERNETES_SERVICE_HOST !== undefined && environment.KUBERNETES_SERVICE_PORT !== undefined;
}

/** The API server of the cluster that this pod runs in, as its service account. Errors: `kubernetes.noAccess`. */
export async function inClusterAccess({ environment = process.env, mount = MOUNT }: InClusterOptions = {}): Promise<KubeAccess> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment;
  if (host === undefined || port === undefined)
    fail('kubernetes.noAccess', 'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this process runs in no pod');
  const read = async () => ({ ca: await text(`${mount}/ca.crt`), token: (await text(`${mount}/token`)).trim() });
  const namespace = (await text(`${mount}/namespace`)).trim();
  return { server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`), namespace, credentials: { read } };
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return fail('kubernetes.noAccess', (error as Error).message, error);
  }
}
