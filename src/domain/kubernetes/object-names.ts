/** The names of everything that belongs to the cluster `name` in its namespace. The one place that knows them. */
export function objectNames(name: string) {
  return {
    /** Of the members: pods `NAME-0`, `NAME-1`, …; the member's name is its pod's. */
    statefulSet: name,
    member: (ordinal: number) => `${name}-${ordinal}`,
    proxyDeployment: `${name}-proxy`,

    /** Through the proxy, reads and writes. */
    proxyService: name,
    primaryService: `${name}-primary`,
    replicaService: `${name}-replica`,
    /** Headless; publishes addresses that are not ready, so that each pod has a name in DNS. */
    podsService: `${name}-pods`,
    nodePortService: `${name}-nodeport`,

    /** `username`, `password`. */
    superuserSecret: `${name}-superuser`,
    replicationSecret: `${name}-replication`,
    agentSecret: `${name}-agent`,
    /** `username`, `password`, of a role that the cluster declares. */
    roleSecret: (role: string) => `${name}-role-${role.replaceAll('_', '-')}`,
    /** The authority of the cluster (`ca.crt`, `ca.key`) and that of its proxies' logins (`proxy-ca.crt`, `proxy-ca.key`). In no pod. */
    authoritySecret: `${name}-authority`,
    /** What members show: `ca.crt`, `proxy-ca.crt`, and `NAME-0.crt`, `NAME-0.key`, … */
    memberTlsSecret: `${name}-member-tls`,
    /** What proxies show: the files of `proxyTlsPaths`, and `listener.crt`, `listener.key` for clients. */
    proxyTlsSecret: `${name}-proxy-tls`,

    /** `cluster.yaml`: the cluster's configuration as it is wanted; `proxy.yaml`: its proxies'. */
    configMap: `${name}-config`,
    /** The agents' records, but for the leader's. */
    recordsConfigMap: `${name}-records`,
    /** The leader's record. */
    leaderLease: `${name}-leader`,

    serviceAccount: name,
    role: name,
    roleBinding: name,
    proxyServiceAccount: `${name}-proxy`,
    membersBudget: name,
    proxyBudget: `${name}-proxy`,
  } as const;
}
