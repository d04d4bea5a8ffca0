import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DEFAULT_INITDB } from '#domain/config/initdb.ts';
import type { JobResult } from '#domain/server.ts';
import { buildAnyScramVerifier } from '#wire/scram-verifier.ts';
import { giveUp } from '../job-error.ts';
import { syncFolder } from '../owned-files.ts';
import { type JobContext, tool } from '../server-context.ts';
import { complaint } from '../tool.ts';
import { adoptDataDir, endStrayTools, prepareFiles } from './prepare.ts';
import { startPrimary } from './start.ts';

/** Makes the first server of a cluster. Again after it was interrupted or done: a finished directory is started and told. */
export async function bootstrap(context: JobContext): Promise<JobResult> {
  const { postmaster, stopped } = context;
  if (postmaster.pid() !== undefined) return { ok: true, systemIdentifier: (await stopped.control()).systemIdentifier };
  if ((await stopped.inspect()) === undefined) await makeDataDir(context);
  const { systemIdentifier } = await stopped.control();
  const started = await startPrimary(context);
  return started.ok ? { ...started, systemIdentifier } : started;
}

async function makeDataDir(context: JobContext): Promise<void> {
  const { layout, memory, onProgress } = context;
  await prepareFiles(context);
  await endStrayTools(layout.memberDir);
  await rm(layout.newDataDir, { recursive: true, force: true });
  await context.files.folder(layout.newDataDir);
  const walFolder = await context.walFolders.fresh();
  onProgress('initdb');
  const { superuser } = memory.secrets;
  const initdb = await tool(
    context,
    'initdb',
    [
      '-D',
      layout.newDataDir,
      '-U',
      superuser.name,
      ...(await initdbArguments(context)),
      '--auth-local=peer',
      '--auth-host=reject',
      ...(walFolder === undefined ? [] : ['--waldir', walFolder]),
    ],
    { signal: context.signal },
  );
  if (initdb.code !== 0) giveUp('failed', `initdb: ${complaint(initdb)}`);
  onProgress('roles');
  const single = await tool(context, 'postgres', ['--single', '-D', layout.newDataDir, 'postgres'], {
    signal: context.signal,
    input: await rolesSql(context),
  });
  // Single-user mode goes on after an error.
  if (single.code !== 0 || /\b(ERROR|FATAL|PANIC):/.test(single.stderr))
    giveUp('failed', `the roles could not be made: ${complaint(single)}`);
  await adoptDataDir(context, layout.newDataDir, await context.stopped.control(layout.newDataDir));
  // Fails on a directory that holds anything: what it is, nobody here knows.
  await rename(layout.newDataDir, layout.dataDir);
  await syncFolder(dirname(layout.dataDir));
  context.stopped.forget();
}

/** Since PostgreSQL 18 pages have checksums if nothing else is said. */
const CHECKSUMS_BY_DEFAULT = 18;

async function initdbArguments(context: JobContext): Promise<readonly string[]> {
  const { encoding, locale, dataChecksums, walSegmentSizeMb } = context.options.initdb ?? DEFAULT_INITDB;
  const plain = ['-E', encoding, `--locale=${locale}`, `--wal-segsize=${walSegmentSizeMb}`];
  if (dataChecksums) return [...plain, '--data-checksums'];
  const { stdout } = await tool(context, 'initdb', ['--version'], { signal: context.signal });
  const version = Number(/\d+/.exec(stdout)?.[0] ?? 0);
  return version >= CHECKSUMS_BY_DEFAULT ? [...plain, '--no-data-checksums'] : plain;
}

/** One statement a line, as single-user mode reads them. Verifiers, not passwords: statements may be logged. */
async function rolesSql({ memory }: JobContext): Promise<string> {
  const { superuser, agent, replication } = memory.secrets;
  const name = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const functions = [
    'pg_ls_dir(text, boolean, boolean)',
    'pg_stat_file(text, boolean)',
    'pg_read_binary_file(text)',
    'pg_read_binary_file(text, bigint, bigint, boolean)',
  ];
  return [
    `ALTER ROLE ${name(superuser.name)} PASSWORD '${await buildAnyScramVerifier(superuser.password)}'`,
    `CREATE ROLE ${name(agent.name)} SUPERUSER LOGIN PASSWORD '${await buildAnyScramVerifier(agent.password)}'`,
    `CREATE ROLE ${name(replication.name)} REPLICATION LOGIN PASSWORD '${await buildAnyScramVerifier(replication.password)}'`,
    // What pg_rewind reads (manual, pg_rewind, "Notes").
    ...functions.map((signature) => `GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${name(replication.name)}`),
    '',
  ].join('\n');
}
