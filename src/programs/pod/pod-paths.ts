import { POD } from '#domain/kubernetes/pod-layout.ts';

/** What a pod is given and what it makes of that, each under a folder that a test can put elsewhere. */
export interface PodPaths {
  readonly memberDir: string;
  /** The mounts. */
  readonly declaredConfig: string;
  readonly proxyConfig: string;
  readonly mountedTls: string;
  readonly mountedSecrets: string;
  /** In memory, of this user alone. */
  readonly runDir: string;
  readonly tls: string;
  readonly secrets: string;
  readonly memberConfig: string;
}

export function podPaths(root = ''): PodPaths {
  const runDir = `${root}${POD.runDir}`;
  return {
    memberDir: `${root}${POD.memberDir}`,
    declaredConfig: `${root}${POD.configDir}/cluster.yaml`,
    proxyConfig: `${root}${POD.configDir}/proxy.yaml`,
    mountedTls: `${root}${POD.tlsDir}`,
    mountedSecrets: `${root}${POD.secretsDir}`,
    runDir,
    tls: `${runDir}/tls`,
    secrets: `${runDir}/secrets.json`,
    memberConfig: `${runDir}/agent.yaml`,
  };
}
