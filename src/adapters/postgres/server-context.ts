import { join } from 'node:path';
import type { Position } from '#domain/position.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import type { Histories } from './histories.ts';
import type { Layout } from './layout.ts';
import type { OwnedFiles } from './owned-files.ts';
import type { PostgresOptions, PostgresSecrets } from './postgres-options.ts';
import type { Postmaster } from './postmaster.ts';
import type { RoleFile } from './role-file.ts';
import type { Session, SessionSettings } from './session.ts';
import type { StoppedServer } from './stopped-server.ts';
import { runTool, type ToolResult, type ToolRun } from './tool.ts';
import type { WalFolders } from './wal-folders.ts';
import type { WalSizes } from './wal-layout.ts';

/** What the jobs of one server share. */
export interface ServerContext {
  readonly options: PostgresOptions;
  readonly layout: Layout;
  readonly files: OwnedFiles;
  readonly postmaster: Postmaster;
  readonly role: RoleFile;
  readonly stopped: StoppedServer;
  readonly walFolders: WalFolders;
  readonly histories: Histories;
  /** The connection of the job that runs. */
  readonly work: Session;
  readonly log: (line: string) => void;
  readonly memory: ServerMemory;
  /** Another connection, for what must be new or must run beside the job. The caller drops it. */
  openSession(settings?: Partial<Pick<SessionSettings, 'name' | 'synchronousCommit'>>): Session;
}

/** What the adapter knows about the server that runs now and cannot ask it. */
export interface ServerMemory {
  /** Checked: nothing else ever reaches the files that the server reads. */
  tls: TlsIdentity;
  /** As they were last given. */
  secrets: PostgresSecrets;
  /** As whom the agent connects through the socket; see `PostgresOptions`. */
  readonly socketUsers: readonly string[];
  /** The parameters of the cluster as they were last given. */
  parameters: Readonly<Record<string, string>>;
  /** The value of `synchronous_standby_names` that every process is known to follow. Undefined after adoption. */
  syncInForce: string | undefined;
  /** The end of the valid WAL when the server was started: it does not tell itself before it has replayed as far. */
  startedAt: Position | undefined;
  walSizes: WalSizes;
  /** Lines of pg_hba.conf that people declare, checked: PostgreSQL can read each of them. */
  hba: readonly string[];
  /** The roles that the files let a proxy in as, by its certificate. */
  certified: readonly string[];
  /** Those of them that the server is known to have read. */
  byCertificate: ReadonlySet<string>;
}

export interface JobContext extends ServerContext {
  /** Aborted by `stop`. */
  readonly signal: AbortSignal;
  readonly incarnation: string;
  readonly onProgress: (text: string) => void;
}

export type ToolOptions = Partial<Pick<ToolRun, 'env' | 'input' | 'timeoutMs' | 'onLine' | 'cwd'>> & {
  readonly signal?: AbortSignal;
};

/** Runs a program of PostgreSQL as the server's user. */
export function tool(
  context: ServerContext,
  program: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolResult> {
  return runTool({
    program: join(context.options.binDir, program),
    args,
    owner: context.options.runAs,
    cwd: context.layout.memberDir,
    ...options,
  });
}
