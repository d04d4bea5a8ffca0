import type { z } from 'zod';
import type { memberConfigSchema } from '#domain/config/member-config.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import type { PodEnvironment } from './pod-environment.ts';
import type { PodPaths } from './pod-paths.ts';

/**
 * The configuration of the member of a pod. Other members reach it by the pod's address, which changes with each pod: a name of the
 * cluster's DNS would resolve a while later. It listens on every address, so that `kubectl port-forward` reaches it too.
 */
export function composeMember(
  { cluster, name, ip, namespace, walDir, initdb }: PodEnvironment,
  paths: PodPaths,
  postgresBin: string,
): z.input<typeof memberConfigSchema> {
  const listen = ip.includes(':') ? '::' : '0.0.0.0';
  return {
    cluster,
    name,
    memberDir: paths.memberDir,
    ...(walDir === undefined ? {} : { walDir }),
    host: ip,
    port: POD.postgresPort,
    listen,
    api: { host: ip, port: POD.apiPort, listen },
    patroniApi: { host: listen, port: POD.healthPort },
    postgresBin,
    store: { kind: 'kubernetes', namespace },
    tlsDir: paths.tls,
    secretsFile: paths.secrets,
    declaredConfig: paths.declaredConfig,
    ...(initdb === undefined ? {} : { initdb: initdb as z.input<typeof memberConfigSchema>['initdb'] }),
  };
}
