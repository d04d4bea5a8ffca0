import type { PlainServer } from '../plain-server.ts';

export const INTERMEDIARIES = ['direct', 'pgbouncer', 'pgpool', 'matriarch'] as const;
export type IntermediaryName = (typeof INTERMEDIARIES)[number];

/** What stands between clients and one plain server; `direct`: nothing does. */
export interface Intermediary {
  readonly name: IntermediaryName;
  readonly host: string;
  readonly port: number;
  /** For people, with the version. */
  readonly title: string;
  /** Its processes of this moment; none for `direct`. */
  pids(): readonly number[];
  /** The end of its log, for a failure. */
  readonly said: string;
  /** Where it has Prometheus metrics. */
  readonly metricsUrl?: string;
  end(): Promise<void>;
}

export interface IntermediaryOptions {
  readonly server: PlainServer;
  /** A folder of its own, that does not exist yet. */
  readonly folder: string;
  /** The most clients at once. */
  readonly clients: number;
  /** Connections to the server for one user in one database. Default 20. */
  readonly serversPerPool?: number;
  /** Prepared statements that a server connection keeps, where that can be said. */
  readonly preparedPerServer?: number;
  /** PEM. With it clients may come with TLS, and the server is reached with TLS. */
  readonly tls?: { readonly ca: string; readonly certificate: string; readonly key: string };
}
