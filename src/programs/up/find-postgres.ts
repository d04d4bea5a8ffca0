import { execFile } from 'node:child_process';
import { access, constants, readdir, realpath } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { fail, MatriarchError } from '#domain/errors.ts';

const run = promisify(execFile);

/** What a member needs of a PostgreSQL. Some distributions put the server's programs into a package of their own. */
const PROGRAMS = ['postgres', 'initdb', 'pg_ctl', 'pg_basebackup', 'pg_rewind', 'pg_controldata', 'pg_waldump', 'psql'] as const;
const OLDEST_MAJOR = 14;
const NEWEST_MAJOR = 18;

export interface PostgresInstallation {
  /** Absolute, without symbolic links. */
  readonly bin: string;
  /** As `postgres --version` says it, for example `15.18`. */
  readonly version: string;
  readonly major: number;
}

/** The folders of Debian and Red Hat packages, of Homebrew and of Postgres.app: `%` is the major version. */
const DISTRIBUTION_FOLDERS = [
  '/usr/lib/postgresql/%/bin',
  '/usr/pgsql-%/bin',
  '/usr/lib/postgresql%/bin',
  '/opt/homebrew/opt/postgresql@%/bin',
  '/usr/local/opt/postgresql@%/bin',
  '/Applications/Postgres.app/Contents/Versions/%/bin',
  '/usr/local/pgsql/bin',
] as const;

/** Looked at in this order: PATH, then the distribution's folders, the newest first. */
function searchedFolders(path = process.env.PATH ?? ''): string[] {
  const majors = Array.from({ length: NEWEST_MAJOR - OLDEST_MAJOR + 1 }, (_, index) => String(NEWEST_MAJOR - index));
  const distribution = majors.flatMap((major) => DISTRIBUTION_FOLDERS.map((folder) => folder.replace('%', major)));
  return [...new Set([...path.split(delimiter).filter((folder) => folder.startsWith('/')), ...distribution])];
}

/**
 * The PostgreSQL in `explicit`, or the first usable one in PATH and the distribution's folders. Errors: `postgres.notFound`,
 * `postgres.tooOld`. One that is too old is passed over while a newer one may follow, and named when none does.
 */
export async function findPostgres(explicit: string | undefined, path = process.env.PATH ?? ''): Promise<PostgresInstallation> {
  if (explicit !== undefined) return inspect(explicit);
  let refusal: MatriarchError | undefined;
  for (const folder of searchedFolders(path)) {
    if (!(await isExecutable(join(folder, 'postgres')))) continue;
    try {
      return await inspect(folder);
    } catch (error) {
      if (!(error instanceof MatriarchError)) throw error;
      refusal ??= error;
    }
  }
  throw (
    refusal ?? new MatriarchError('postgres.notFound', 'there is no PostgreSQL server in PATH or the folders of the distribution')
  );
}

async function inspect(folder: string): Promise<PostgresInstallation> {
  const missing: string[] = [];
  for (const program of PROGRAMS) if (!(await isExecutable(join(folder, program)))) missing.push(program);
  if (missing.length === PROGRAMS.length && !(await exists(folder))) fail('postgres.notFound', `there is no folder ${folder}`);
  if (missing.length > 0) fail('postgres.notFound', `${folder} lacks ${missing.join(', ')}`);
  const version = await versionOf(join(folder, 'postgres'));
  const major = Number.parseInt(version, 10);
  if (major < OLDEST_MAJOR)
    fail('postgres.tooOld', `${folder} holds PostgreSQL ${version}; Matriarch takes ${OLDEST_MAJOR} or later`);
  // Beside a link such as /usr/bin/postgres the server would not find its own libraries and templates.
  return { bin: join(await realpath(join(folder, 'postgres')), '..'), version, major };
}

async function versionOf(program: string): Promise<string> {
  let output: string;
  try {
    // Of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` the third word; a beta says `18beta1`.
    output = (await run(program, ['--version'], { timeout: 10_000 })).stdout;
  } catch (error) {
    fail('postgres.notFound', `${program} cannot be run: ${(error as Error).message.trim()}`, error);
  }
  const version = /\(PostgreSQL\) (\d+[^\s]*)/.exec(output)?.[1];
  return version ?? fail('postgres.notFound', `${program} --version says "${output.trim()}", which is no PostgreSQL`);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function exists(folder: string): Promise<boolean> {
  return readdir(folder).then(
    () => true,
    () => false,
  );
}
