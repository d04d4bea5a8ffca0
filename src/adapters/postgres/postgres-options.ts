import type { Initdb } from '#domain/config/initdb.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';

/** An account of the operating system, by number. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface Login {
  readonly name: string;
  readonly password: string;
}

export interface PostgresSecrets {
  /** The bootstrap superuser, for people. */
  readonly superuser: Login;
  /** The agent's own superuser; it only connects through the Unix socket, and without the password where `socketUsers` says who that is. */
  readonly agent: Login;
  /** REPLICATION, and what pg_rewind reads. Only over TLS, only for members: a second connection of a member's name counts twice. */
  readonly replication: Login;
}

export interface PostgresOptions {
  /** The folder of initdb, postgres, pg_basebackup, pg_rewind, pg_controldata and pg_waldump. */
  readonly binDir: string;
  /** Everything of this member lies here; absolute. Made when it is missing. */
  readonly memberDir: string;
  /** Default `memberDir/data`. On the same file system as `memberDir`, since directories are swapped by renaming. */
  readonly dataDir?: string;
  /**
   * A folder of this member alone for the write-ahead log of data directories that are made from now on; whatever is in it and belongs to
   * none is removed. Absolute; the folder above it must be there. Default: the log lies inside of the data directory.
   */
  readonly walDir?: string;
  /** The address that others reach the server at, for example 10.0.0.1. */
  readonly host: string;
  /** The address that it listens on. Default `host`. */
  readonly listen?: string;
  readonly port: number;
  /** Default `memberDir/run`; where its path is too long for a Unix socket, a private folder below the system's temporary folder. */
  readonly socketDir?: string;
  /** The server's standard error. At a start, one larger than `logLimitBytes` is moved to `FILE.1`. */
  readonly logFile: string;
  /** Default `memberDir/replication.pgpass`. */
  readonly passfile?: string;
  /** Required when the agent runs as root: PostgreSQL refuses to. Files written for the server belong to this user. */
  readonly runAs?: Owner;
  /**
   * The names of those users of the machine as whom the agent, and what it starts, connect through the socket. Default: none, and they log
   * in by the password.
   */
  readonly socketUsers?: readonly string[];
  /** At the start; see `useTls`. The key of the certificate must not be Ed25519: channel binding has no digest for it. */
  readonly tls: TlsIdentity;
  readonly secrets: PostgresSecrets;
  /** Of the first server of a cluster. Default: `DEFAULT_INITDB`. */
  readonly initdb?: Initdb;
  /** The cluster's configured parameters; they win over the defaults, never over what Matriarch owns. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf for clients, checked by `accessLineProblem`. Default: none. */
  readonly hba?: readonly string[];
  /** A fast stop that lasts longer ends in SIGKILL. Default 2000. */
  readonly stopTimeoutMs?: number;
  /** A start that makes no progress (no CPU time, no new WAL segment) for so long has failed. Default 20 000. */
  readonly stallTimeoutMs?: number;
  /** How much of the WAL that a rejoin gives up is kept in `memberDir/diverged`, in bytes. Default 256 MiB. */
  readonly divergedLimitBytes?: number;
  /** Default 64 MiB. */
  readonly logLimitBytes?: number;
  readonly log?: (line: string) => void;
}

export const DEFAULT_STOP_TIMEOUT_MS = 2000;
export const DEFAULT_STALL_TIMEOUT_MS = 20_000;
export const DEFAULT_DIVERGED_LIMIT_BYTES = 256 * 1024 * 1024;
export const DEFAULT_LOG_LIMIT_BYTES = 64 * 1024 * 1024;
