import { execFile } from 'node:child_process';

const LIMIT_BYTES = 32 * 2 ** 20;

export interface KubectlOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

/** Runs kubectl against the cluster of KUBECONFIG. Rejects with what it says. */
export function kubectl(args: readonly string[], { input, timeoutMs = 60_000 }: KubectlOptions = {}): Promise<string> {
  if (process.env.KUBECONFIG === undefined)
    return Promise.reject(new Error('KUBECONFIG must name a cluster of Kubernetes on which pods run; these tests need one'));
  return new Promise((resolve, reject) => {
    const child = execFile('kubectl', args, { timeout: timeoutMs, maxBuffer: LIMIT_BYTES }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.end(input);
  });
}
