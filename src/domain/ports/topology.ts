/** One PostgreSQL server as the proxy reaches it. */
export interface ServerAddress {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /**
   * The folder of its Unix socket, where the proxy runs on the same machine and may connect to it: faster, and it needs no TLS. A login
   * by certificate is one over TLS, and so takes `host`.
   */
  readonly socketDir?: string;
}

/** Who serves what, as the proxy last heard. */
export interface TopologyView {
  /**
   * Grows with every new primary; 0 before the first. A connection to the primary of an older epoch is cut at once. A server that is
   * restarted in place, or leads on under a new number of the cluster's, keeps it.
   */
  readonly epoch: number;
  /** Takes writes at this moment; null while nobody does, and new work is held. */
  readonly primary: ServerAddress | null;
  /** A planned switchover has begun: nothing new may start on the primary, and what runs may end. */
  readonly holding: boolean;
  readonly servers: readonly ServerAddress[];
}

/**
 * Where the proxy learns who is the primary: from the agents, or by asking plain PostgreSQL servers. It never decides a failover, and
 * a source that falls silent leaves the last view in force.
 */
export interface Topology {
  readonly view: TopologyView;
  /**
   * `listener` hears of every change, in order. For a view with `holding` it returns a promise that resolves when nothing runs on the
   * primary any more and nothing will be started: only then is the leader told. For any other it may return nothing.
   */
  subscribe(listener: (view: TopologyView) => Promise<void> | undefined): () => void;
  close(): Promise<void>;
}
