/** The operator's own pod. */
export const OPERATOR = {
  namespace: 'matriarch-system',
  name: 'matriarch-operator',
  /** HTTP: probes and metrics. */
  port: 8080,
  probes: { live: '/healthz', ready: '/readyz' },
  metricsPath: '/metrics',
  env: {
    podName: 'POD_NAME',
    namespace: 'POD_NAMESPACE',
    /** The image of clusters that name none. */
    image: 'MATRIARCH_IMAGE',
    /** The only namespace whose clusters it looks after. Empty: those of every one. */
    watch: 'MATRIARCH_WATCH_NAMESPACE',
  },
  /** The Lease by which one of several operators is chosen, in its namespace. */
  lease: 'matriarch-operator',
} as const;

/** On a PostgresCluster, while something of it has to be taken away by the operator. */
export const FINALIZER = 'matriarch.dev/cluster';
