import type { KubeAccess } from '#adapters/kubernetes/access.ts';
import { inClusterAccess, isInCluster } from '#adapters/kubernetes/in-cluster.ts';
import { kubeconfigAccess } from '#adapters/kubernetes/kubeconfig.ts';
import { DEFAULT_IMAGE } from '#domain/kubernetes/default-image.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { openLog } from '#programs/proxy/open-log.ts';
import { runOperator } from './operator.ts';

export interface OperatorArguments {
  /** Default: in a pod its service account, elsewhere KUBECONFIG. */
  readonly kubeconfig?: string;
  /** Default: every namespace. */
  readonly watch?: string;
  /** Of clusters that name none. */
  readonly image?: string;
}

/** `matriarch operator`: looks after the PostgresClusters of a Kubernetes until a signal. Errors: `kubernetes.…`, `port.taken`. */
export async function operator(given: OperatorArguments): Promise<void> {
  const ending = new AbortController();
  process.on('SIGTERM', () => ending.abort());
  process.on('SIGINT', () => ending.abort());
  const { logger, flush } = await openLog({ level: 'info' });
  process.on('exit', flush);
  const access: KubeAccess =
    given.kubeconfig === undefined && isInCluster()
      ? await inClusterAccess()
      : await kubeconfigAccess(given.kubeconfig === undefined ? {} : { file: given.kubeconfig });
  const environment = (name: string) => (process.env[name] === '' ? undefined : process.env[name]);
  await runOperator({
    access,
    namespace: environment(OPERATOR.env.namespace) ?? access.namespace,
    watch: given.watch ?? environment(OPERATOR.env.watch),
    image: given.image ?? environment(OPERATOR.env.image) ?? DEFAULT_IMAGE,
    listen: { host: isInCluster() ? '0.0.0.0' : '127.0.0.1', port: OPERATOR.port },
    log: {
      info: (part, text) => logger.info({ part }, text),
      warn: (part, text) => logger.warn({ part }, text),
    },
    signal: ending.signal,
  });
  process.exit(0);
}
