/** Paths and ports inside the pods of a cluster. */
export const POD = {
  /** Owner of every process, and group of the volumes (`fsGroup`). */
  uid: 1001,
  gid: 1001,
  /** The volume of the data: `data/`, the promise, logs. */
  memberDir: '/var/lib/matriarch',
  /** The volume of the write-ahead log, where there is one: a folder of the member's in it. */
  walDir: '/var/lib/matriarch-wal',
  /** In memory, for sockets and the TLS files as PostgreSQL wants them. */
  runDir: '/run/matriarch',
  /** Mounts of `NAME-config`, `NAME-member-tls` or `NAME-proxy-tls`, and one folder a Secret of a login. */
  configDir: '/etc/matriarch/config',
  tlsDir: '/etc/matriarch/tls',
  secretsDir: '/etc/matriarch/secrets',
  postgresPort: 5432,
  apiPort: 7432,
  /** HTTP without secrets: probes and metrics. */
  healthPort: 8080,
  proxyPort: 6432,
  metricsPort: 9127,
  /** Of members, at `healthPort`. A replica that shows an older state than the primary by this much is taken out of the Services. */
  memberProbes: { live: '/liveness', ready: '/readiness?lag=128MB' },
  /** Of members, at `healthPort`: what keeps the agent from starting. Where it runs, there is no such page. */
  waitingPath: '/waiting',
  /** Of proxies, at `metricsPort`. */
  proxyProbes: { live: '/metrics', ready: '/health' },
  /** Environment variables, by the downward API but for the cluster; `walDir` where the pod has that volume, `initdb` (JSON) where it is said. */
  env: {
    cluster: 'MATRIARCH_CLUSTER',
    podName: 'POD_NAME',
    podIp: 'POD_IP',
    namespace: 'POD_NAMESPACE',
    walDir: 'MATRIARCH_WAL_DIR',
    initdb: 'MATRIARCH_INITDB',
  },
} as const;
