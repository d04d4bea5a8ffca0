import type { z } from 'zod';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { proxyFileSchema } from '#domain/config/proxy-config.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { clusterObject } from './object.ts';

/** Where the certificate lies that the resource names for clients. */
export const CLIENT_TLS_DIR = '/etc/matriarch/client-tls';

/** `NAME-config`: what the agents and the proxies are to do, as JSON, which is YAML too. `config` may be a step on the way. */
export function configObject(cluster: PostgresCluster, config: ClusterConfig): KubeObject {
  const data = { 'cluster.yaml': pretty(config), 'proxy.yaml': pretty(proxyFile(cluster)) };
  return clusterObject(cluster, 'v1', 'ConfigMap', objectNames(cluster.name).configMap, { data });
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function proxyFile({ name, spec }: PostgresCluster): z.input<typeof proxyFileSchema> {
  const names = objectNames(name);
  const own = spec.tls.secret === undefined;
  return {
    listen: { host: '0.0.0.0', port: POD.proxyPort },
    metrics: { host: '0.0.0.0', port: POD.metricsPort },
    tls: {
      mode: spec.tls.clients,
      certificateFile: own ? `${POD.tlsDir}/listener.crt` : `${CLIENT_TLS_DIR}/tls.crt`,
      keyFile: own ? `${POD.tlsDir}/listener.key` : `${CLIENT_TLS_DIR}/tls.key`,
    },
    source: {
      kind: 'agents',
      agents: Array.from({ length: spec.instances }, (_, ordinal) => {
        const member = names.member(ordinal);
        return `${member}=${member}.${names.podsService}:${POD.apiPort}`;
      }),
      tlsDir: POD.tlsDir,
    },
  };
}
