import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { CONTAINER_SECURITY, imageOf, mount, podSecurity } from './pod-parts.ts';
import type { Surroundings } from './surroundings.ts';

const CA_DIR = '/etc/matriarch/authority';

/** A Pod to try the cluster with: `kubectl exec -it NAME-client -- psql` connects through the proxy, and checks whom it talks to. */
export function clientPod(cluster: PostgresCluster, surroundings: Surroundings): KubeObject {
  const names = objectNames(cluster.name);
  const login = (key: string) => ({ valueFrom: { secretKeyRef: { name: names.superuserSecret, key } } });
  const own = cluster.spec.tls.secret === undefined;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${cluster.name}-client`,
      ...(cluster.namespace === undefined ? {} : { namespace: cluster.namespace }),
      // Not those of the cluster: nobody manages it, and no selector is to find it.
      labels: { 'app.kubernetes.io/name': 'matriarch', 'app.kubernetes.io/component': 'client' },
    },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      securityContext: podSecurity(),
      ...(cluster.spec.imagePullSecrets === undefined ? {} : { imagePullSecrets: cluster.spec.imagePullSecrets }),
      containers: [
        {
          name: 'psql',
          ...imageOf(cluster, surroundings),
          command: ['sleep', 'infinity'],
          env: [
            { name: 'PGHOST', value: names.proxyService },
            { name: 'PGPORT', value: String(POD.postgresPort) },
            { name: 'PGDATABASE', value: 'postgres' },
            { name: 'PGUSER', ...login('username') },
            { name: 'PGPASSWORD', ...login('password') },
            { name: 'PSQL_HISTORY', value: '/tmp/.psql_history' },
            // With a certificate of somebody else's the authority of the cluster says nothing.
            ...(own
              ? [
                  { name: 'PGSSLMODE', value: 'verify-full' },
                  { name: 'PGSSLROOTCERT', value: `${CA_DIR}/ca.crt` },
                ]
              : [{ name: 'PGSSLMODE', value: 'require' }]),
          ],
          resources: { requests: { cpu: '10m', memory: '32Mi' } },
          securityContext: CONTAINER_SECURITY,
          volumeMounts: [mount('tmp', '/tmp'), ...(own ? [mount('authority', CA_DIR, true)] : [])],
        },
      ],
      volumes: [
        { name: 'tmp', emptyDir: {} },
        ...(own
          ? [
              {
                name: 'authority',
                secret: { secretName: names.memberTlsSecret, items: [{ key: 'ca.crt', path: 'ca.crt' }], defaultMode: 0o444 },
              },
            ]
          : []),
      ],
    },
  };
}
