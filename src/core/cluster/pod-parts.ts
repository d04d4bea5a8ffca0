import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import type { Surroundings } from './surroundings.ts';

// What the pods of members and of proxies have in common. All of it passes the Pod Security Standard `restricted`.

export const CONTAINER_SECURITY = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  privileged: false,
  readOnlyRootFilesystem: true,
} as const;

export function podSecurity() {
  return {
    runAsNonRoot: true,
    runAsUser: POD.uid,
    runAsGroup: POD.gid,
    fsGroup: POD.gid,
    // Else every start waits until the owner of each file of a large volume has been set.
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  } as const;
}

/** What no pod of a cluster goes without. */
export function commonPodSpec({ spec }: PostgresCluster) {
  const { imagePullSecrets, nodeSelector, tolerations } = spec;
  return {
    enableServiceLinks: false,
    securityContext: podSecurity(),
    ...(imagePullSecrets === undefined ? {} : { imagePullSecrets }),
    ...(nodeSelector === undefined ? {} : { nodeSelector }),
    ...(tolerations === undefined ? {} : { tolerations }),
  };
}

export function commonVolumes({ name }: PostgresCluster, tlsSecret: string) {
  return [
    memoryVolume('run'),
    { name: 'tmp', emptyDir: {} },
    { name: 'config', configMap: { name: objectNames(name).configMap, defaultMode: 0o444 } },
    secretVolume('tls', tlsSecret),
  ];
}

export const COMMON_MOUNTS = [
  mount('run', POD.runDir),
  mount('tmp', '/tmp'),
  mount('config', POD.configDir, true),
  mount('tls', POD.tlsDir, true),
];

/** Two on one node are better than one that runs nowhere: preferred, not required. */
export function apart(labelSelector: Readonly<Record<string, unknown>>) {
  const podAffinityTerm = { topologyKey: 'kubernetes.io/hostname', labelSelector };
  return { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }] } };
}

export function imageOf({ spec }: PostgresCluster, { image }: Pick<Surroundings, 'image'>) {
  return { image: spec.image ?? image, imagePullPolicy: 'IfNotPresent' } as const;
}

export function podEnvironment({ name }: PostgresCluster) {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } });
  return [
    { name: POD.env.cluster, value: name },
    { name: POD.env.podName, ...field('metadata.name') },
    { name: POD.env.podIp, ...field('status.podIP') },
    { name: POD.env.namespace, ...field('metadata.namespace') },
  ];
}

/** Readable for the group of the pod, and for nobody else. */
const SECRET_MODE = 0o440;

export function secretVolume(name: string, secretName: string) {
  return { name, secret: { secretName, defaultMode: SECRET_MODE } } as const;
}

export function memoryVolume(name: string) {
  return { name, emptyDir: { medium: 'Memory' } } as const;
}

export function mount(name: string, mountPath: string, readOnly = false) {
  return readOnly ? ({ name, mountPath, readOnly } as const) : ({ name, mountPath } as const);
}

export function httpProbe(path: string, port: string, numbers: Readonly<Record<string, number>>) {
  return { httpGet: { path, port, scheme: 'HTTP' }, successThreshold: 1, ...numbers } as const;
}
