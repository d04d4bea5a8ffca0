import type { MemberName } from '../member.ts';

/** Where a packaged host has the configuration of its member. */
export const DEFAULT_CONFIG_FILE = '/etc/matriarch/agent.yaml';

/** Everything that a cluster keeps in its folder. The one place that knows the names. */
export function clusterPaths(dir: string) {
  return {
    dir,
    /** What `matriarch up` made: name, members and ports. Its presence makes a folder a cluster. */
    description: `${dir}/cluster.json`,
    /** Passwords. Owner only. */
    secrets: `${dir}/secrets.json`,
    /** The URLs with their passwords. Owner only. */
    connection: `${dir}/connection.json`,
    /** The certificate authority with its key. Owner only. */
    authority: `${dir}/authority`,
    /** Its certificate, for clients (`sslrootcert`). No secret. */
    ca: `${dir}/ca.crt`,
    store: `${dir}/store.db`,
    /** Held by the process that supervises the cluster. */
    lock: `${dir}/supervisor.lock`,
    /** Who that is: pid and start time. */
    lockHolder: `${dir}/supervisor.json`,
    /** The agents that were started: pid and start time by member. */
    agents: `${dir}/agents.json`,
    supervisorLog: `${dir}/supervisor.log`,
    /** What a proxy of the cluster shows, and the one that `matriarch up` runs. Owner only. */
    proxy: `${dir}/proxy`,
    proxyConfig: `${dir}/proxy/proxy.yaml`,
    proxyLog: `${dir}/proxy/proxy.log`,
    proxyTls: `${dir}/proxy/tls`,
    member: (name: MemberName) => memberPaths(`${dir}/${name}`),
  } as const;
}

/** What `matriarch machines` keeps, on the machine of whoever administers the cluster. */
export function machinesPaths(dir: string) {
  return {
    dir,
    /** Its presence makes a folder one of machines. */
    description: `${dir}/machines.json`,
    /** Passwords. Owner only. */
    secrets: `${dir}/secrets.json`,
    /** The certificate authority with its key. Owner only, and on no machine of a member. */
    authority: `${dir}/authority`,
    /** Its certificate, for clients (`sslrootcert`). No secret. */
    ca: `${dir}/ca.crt`,
    /** What a proxy of the cluster shows, for the machines where one runs. Owner only. */
    proxy: `${dir}/proxy`,
    /** Exactly what belongs into the configuration folder of a member's machine. */
    machine: (name: MemberName) => machinePaths(`${dir}/${name}`),
  } as const;
}

/** The configuration folder of a member's machine, and its original. */
export function machinePaths(configDir: string) {
  return {
    configDir,
    config: `${configDir}/agent.yaml`,
    secrets: `${configDir}/secrets.json`,
    tls: `${configDir}/tls`,
    etcdCa: `${configDir}/etcd-ca.crt`,
    etcdCertificate: `${configDir}/etcd.crt`,
    etcdKey: `${configDir}/etcd.key`,
    etcdPassword: `${configDir}/etcd.password`,
  } as const;
}

/** The folder of a member where write-ahead logs have a disk of their own; with a dot, which neither name has, so that none is another's. */
export function walFolderOf(walDir: string, cluster: string, member: MemberName): string {
  return `${walDir}/${cluster}.${member}`;
}

/** Everything that a member keeps in its folder. */
export function memberPaths(memberDir: string) {
  return {
    memberDir,
    config: `${memberDir}/agent.yaml`,
    /** `ca.crt`, `member.crt` and `member.key`, of the user that PostgreSQL runs as. */
    tls: `${memberDir}/tls`,
    /** PostgreSQL's data directory. */
    data: `${memberDir}/data`,
    /** PostgreSQL's Unix socket, and the password file that `primary_conninfo` names. */
    run: `${memberDir}/run`,
    /** The vow that is never lowered, and the incarnation. Outside the data directory, so that no clone brings another's. */
    promise: `${memberDir}/promise.json`,
    /** The dynamic configuration as it was last read, for a start while the store is away. */
    lastConfig: `${memberDir}/last-config.json`,
    /** The agent's API for the owner of the folder. */
    socket: `${memberDir}/api.sock`,
    logs: `${memberDir}/logs`,
    agentLog: `${memberDir}/logs/agent.log`,
    postgresLog: `${memberDir}/logs/postgres.log`,
    guardLog: `${memberDir}/logs/guard.log`,
  } as const;
}
