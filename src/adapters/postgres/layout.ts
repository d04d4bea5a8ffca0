import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { PostgresOptions } from './postgres-options.ts';

/** Linux: sockaddr_un.sun_path holds 108 bytes with the final zero. */
const SOCKET_PATH_LIMIT_BYTES = 107;

/** Where everything lies. What Matriarch writes stands outside the data directory: no clone and no rewind brings another member's. */
export interface Layout {
  readonly memberDir: string;
  readonly dataDir: string;
  /** Inside of the data directory, or a link to a folder of `walVolume`. */
  readonly walDir: string;
  /** Where the log of data directories lies that are made from now on; undefined: inside of them. */
  readonly walVolume: string | undefined;
  /** A data directory that is being made. */
  readonly newDataDir: string;
  /** The one before, while the two are swapped. */
  readonly oldDataDir: string;
  readonly configDir: string;
  readonly serverConf: string;
  readonly roleConf: string;
  readonly accessFile: string;
  readonly identFile: string;
  /** Whom this member trusts as a follower. */
  readonly caFile: string;
  /** Whose certificates the server takes from its clients: the proxies' authority too. */
  readonly clientCaFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** The passwords that `primary_conninfo` may use; empty while the member must not be able to connect to anybody. */
  readonly passfile: string;
  /** The passwords of pg_basebackup and pg_rewind, while they run. */
  readonly toolPassfile: string;
  /** Names the timeline of a promotion that has begun. */
  readonly promotionMarker: string;
  /** There while a rewind is changing the data directory: when it is left behind, the directory is worthless. */
  readonly rewindMarker: string;
  readonly divergedDir: string;
  readonly socketDir: string;
  readonly logFile: string;
}

export function layoutOf(options: PostgresOptions): Layout {
  const { memberDir } = options;
  const dataDir = options.dataDir ?? join(memberDir, 'data');
  const configDir = join(memberDir, 'postgres');
  return {
    memberDir,
    dataDir,
    walDir: join(dataDir, 'pg_wal'),
    walVolume: options.walDir === undefined ? undefined : resolve(options.walDir),
    newDataDir: `${dataDir}.new`,
    oldDataDir: `${dataDir}.old`,
    configDir,
    serverConf: join(configDir, 'server.conf'),
    roleConf: join(configDir, 'role.conf'),
    accessFile: join(configDir, 'pg_hba.conf'),
    identFile: join(configDir, 'pg_ident.conf'),
    caFile: join(configDir, 'ca.crt'),
    clientCaFile: join(configDir, 'client-ca.crt'),
    certFile: join(configDir, 'server.crt'),
    keyFile: join(configDir, 'server.key'),
    passfile: options.passfile ?? join(memberDir, 'replication.pgpass'),
    toolPassfile: join(configDir, 'tool.pgpass'),
    promotionMarker: join(memberDir, 'promotion.json'),
    rewindMarker: join(memberDir, 'rewind.json'),
    divergedDir: join(memberDir, 'diverged'),
    socketDir: socketDirOf(options.socketDir ?? join(memberDir, 'run'), memberDir, options.port),
    logFile: options.logFile,
  };
}

function socketDirOf(wanted: string, memberDir: string, port: number): string {
  if (Buffer.byteLength(`${wanted}/.s.PGSQL.${port}`) <= SOCKET_PATH_LIMIT_BYTES) return wanted;
  return join(tmpdir(), `matriarch-${createHash('sha256').update(memberDir).digest('hex').slice(0, 16)}`);
}
