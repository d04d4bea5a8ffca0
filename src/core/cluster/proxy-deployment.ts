import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { CLIENT_TLS_DIR } from './config-object.ts';
import { clusterObject, labelsOf, selectorOf } from './object.ts';
import {
  apart,
  COMMON_MOUNTS,
  CONTAINER_SECURITY,
  commonPodSpec,
  commonVolumes,
  httpProbe,
  imageOf,
  mount,
  podEnvironment,
  secretVolume,
} from './pod-parts.ts';
import { PORT } from './service-objects.ts';
import type { Surroundings } from './surroundings.ts';

/** `timeouts.drainMs` of a proxy that nobody set. */
const DEFAULT_DRAIN_MS = 30_000;
/** A Service goes on leading to a pod that ends for about so long. */
const LEAVE_AFTER_SECONDS = 3;
const GRACE_MARGIN_SECONDS = 10;

/** Absent where the resource asks for no proxy. */
export function proxyDeployment(cluster: PostgresCluster, surroundings: Surroundings): KubeObject | undefined {
  const { proxy } = cluster.spec;
  if (proxy.replicas === 0) return undefined;
  const selector = selectorOf(cluster, 'proxy');
  return clusterObject(
    cluster,
    'apps/v1',
    'Deployment',
    objectNames(cluster.name).proxyDeployment,
    {
      spec: {
        replicas: proxy.replicas,
        // A new one serves before an old one goes.
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        selector: { matchLabels: selector },
        template: { metadata: { labels: labelsOf(cluster, 'proxy') }, spec: podSpec(cluster, surroundings) },
      },
    },
    { component: 'proxy' },
  );
}

function podSpec(cluster: PostgresCluster, surroundings: Surroundings) {
  const { spec, name } = cluster;
  const names = objectNames(name);
  const drainMs = spec.proxy.timeouts?.drainMs ?? DEFAULT_DRAIN_MS;
  const own = spec.tls.secret;
  return {
    serviceAccountName: names.proxyServiceAccount,
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: LEAVE_AFTER_SECONDS + GRACE_MARGIN_SECONDS + Math.ceil(drainMs / 1000),
    ...commonPodSpec(cluster),
    affinity: apart({ matchLabels: selectorOf(cluster, 'proxy') }),
    containers: [
      {
        name: 'proxy',
        ...imageOf(cluster, surroundings),
        args: ['proxy', '--pod'],
        env: podEnvironment(cluster),
        ports: [
          { name: PORT.postgres, containerPort: POD.proxyPort, protocol: 'TCP' },
          { name: PORT.metrics, containerPort: POD.metricsPort, protocol: 'TCP' },
        ],
        resources: spec.proxy.resources,
        securityContext: CONTAINER_SECURITY,
        lifecycle: { preStop: { exec: { command: ['sleep', String(LEAVE_AFTER_SECONDS)] } } },
        livenessProbe: httpProbe(POD.proxyProbes.live, PORT.metrics, {
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 6,
        }),
        readinessProbe: httpProbe(POD.proxyProbes.ready, PORT.metrics, {
          periodSeconds: 5,
          timeoutSeconds: 3,
          failureThreshold: 2,
        }),
        volumeMounts: [...COMMON_MOUNTS, ...(own === undefined ? [] : [mount('client-tls', CLIENT_TLS_DIR, true)])],
      },
    ],
    volumes: [...commonVolumes(cluster, names.proxyTlsSecret), ...(own === undefined ? [] : [secretVolume('client-tls', own)])],
  };
}
