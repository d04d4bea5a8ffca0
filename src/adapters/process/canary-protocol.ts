/** The first line that a canary reads from its standard input, where nobody else can read it. */
export interface CanarySettings {
  /** A folder on each disk of the server: `pg_wal`, and where that is on another one than the data, one beside those. */
  readonly directories: readonly string[];
  /** Folder of the server's Unix socket. */
  readonly socketDirectory: string;
  readonly port: number;
  readonly login: { readonly user: string; readonly password: string; readonly database: string };
  readonly intervalMs: number;
  readonly deadlineMs: number;
  readonly runAs: { readonly uid: number; readonly gid: number } | null;
}

/** The further lines: whether to write as well. */
export interface CanaryOrder {
  readonly primary: boolean;
}

/** A line of its standard output, once a round and at every change. */
export interface CanaryReport {
  /** What does not answer, for people; null when everything does. */
  readonly stuck: string | null;
  /** No space is left in one of `directories`. That is no reason to call a server stuck: it ends by itself, or waits for space. */
  readonly diskFull: boolean;
}
