// An operator as a process of its own, so that its memory is measured alone. Its only argument: JSON.
import { kubeconfigAccess } from '#adapters/kubernetes/kubeconfig.ts';
import { runOperator } from '#programs/operator/operator.ts';

export interface OperatorChildOrder {
  readonly kubeconfig: string;
  readonly port: number;
}

const { kubeconfig, port }: OperatorChildOrder = JSON.parse(process.argv[2] ?? '{}');
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
await runOperator({
  access: await kubeconfigAccess({ file: kubeconfig }),
  namespace: 'default',
  watch: undefined,
  image: 'localhost/matriarch:dev',
  listen: { host: '127.0.0.1', port },
  log: { info: () => {}, warn: (part, text) => void process.stderr.write(`${part}: ${text}\n`) },
  signal: ending.signal,
});
process.exit(0);
