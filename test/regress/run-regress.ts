import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool, type ToolResult, type ToolRun } from '#adapters/postgres/tool.ts';
import type { Intermediary, IntermediaryName } from '../support/intermediaries/intermediary.ts';
import { startIntermediary } from '../support/intermediaries/start-intermediary.ts';
import { giveTo, PlainServer, POSTGRES_BIN } from '../support/plain-server.ts';
import { watchForHangs } from './hang-watch.ts';
import { runLibpqPipeline } from './run-libpq-pipeline.ts';

const PREPARE = join(import.meta.dirname, '..', '..', 'scripts', 'prepare-regress.sh');
const DATABASE = 'regression';
/** What pg_regress sets for a database that it makes itself. */
const SETTINGS = ['lc_messages', 'lc_monetary', 'lc_numeric', 'lc_time'].map((name) => `${name} TO 'C'`);
const LOCAL = [...SETTINGS, "bytea_output TO 'hex'", "timezone_abbreviations TO 'Default'"];
const MOST_AT_ONCE = 20;
/** The suite takes half a minute. */
const TIMEOUT_MS = 8 * 60_000;

export interface RegressRun {
  readonly through: string;
  readonly seconds: number;
  /** Tests that pg_regress itself called failed: also those that fail directly on this machine. */
  readonly failed: readonly string[];
  /** What each test printed, by its name. */
  readonly outputs: ReadonlyMap<string, string>;
  /** The text of its metrics, where it has them. */
  readonly metrics: string | null;
  /** Statements that ran for so long that they were ended. */
  readonly hung: readonly string[];
  /** Tests of libpq's pipelines that failed. */
  readonly pipelines: readonly string[];
  readonly log: string;
}

export interface RegressOptions {
  readonly through: IntermediaryName;
  /** Made, and everything in it is the caller's to remove. Everybody may pass through it. */
  readonly folder: string;
  /** One after the other, in place of the parallel schedule; `test_setup` goes first. */
  readonly tests?: readonly string[];
  readonly onLine?: (line: string) => void;
}

/** PostgreSQL's regression suite on a fresh server, as its superuser. */
export async function runRegress({ through, folder, tests = [], onLine }: RegressOptions): Promise<RegressRun> {
  const cache = execFileSync('sh', [PREPARE], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  mkdirSync(folder, { mode: 0o755 });
  const server = await PlainServer.start(join(folder, 'server'), { parameters: { max_prepared_transactions: '10' } });
  let proxy: Intermediary | undefined;
  try {
    await makeDatabase(server);
    proxy = await startIntermediary(through, { server, folder: join(folder, 'proxy'), clients: 100, serversPerPool: 40 });
    const work = copyFor(server, cache, folder);
    const stopWatching = watchForHangs(server);
    const began = performance.now();
    const ran = await runSuite({
      program: join(work.tools, 'pg_regress'),
      args: flags(work, server, proxy, tests),
      owner: server.owner,
      cwd: work.output,
      env: { PGPASSFILE: server.passwordFile() },
      timeoutMs: TIMEOUT_MS,
      ...(onLine === undefined ? {} : { onLine }),
    });
    const pipelines = runLibpqPipeline(work.tools, proxy, server.superuser, DATABASE);
    const hung = await stopWatching();
    const seconds = (performance.now() - began) / 1000;
    if (ran.code !== 0 && ran.code !== 1) throw new Error(`pg_regress: ${ran.stdout}${ran.stderr}\n${proxy.said}`);
    const metrics = proxy.metricsUrl === undefined ? null : await (await fetch(proxy.metricsUrl)).text();
    const failed = [...ran.stdout.matchAll(/^(?:test)?\s+(\S+)\s+\.\.\. FAILED/gm)].map(([, name]) => name ?? '');
    const log = `${ran.stdout}${ran.stderr}\n${proxy.said}`;
    return { through: proxy.title, seconds, failed, outputs: readOutputs(work.output), metrics, hung, pipelines, log };
  } finally {
    await proxy?.end();
    await server.end();
  }
}

async function makeDatabase(server: PlainServer): Promise<void> {
  await server.sql(`CREATE DATABASE ${DATABASE} TEMPLATE template0`);
  for (const setting of LOCAL) await server.sql(`ALTER DATABASE ${DATABASE} SET ${setting}`);
}

/** One that did not end in time is judged by what it printed until then. */
async function runSuite(run: ToolRun): Promise<ToolResult> {
  try {
    return await runTool(run);
  } catch (error) {
    return { code: 1, stdout: '', stderr: (error as Error).message };
  }
}

interface Work {
  readonly tools: string;
  readonly output: string;
}

/** The server's user runs the suite, and the server itself reads and writes its files; the cache is somebody else's. */
function copyFor(server: PlainServer, cache: string, folder: string): Work {
  const tools = join(folder, 'tools');
  const output = join(folder, 'output');
  cpSync(cache, tools, { recursive: true });
  mkdirSync(output);
  giveTo(server.owner, output);
  return { tools, output };
}

function flags({ tools, output }: Work, server: PlainServer, { host, port }: Intermediary, tests: readonly string[]): string[] {
  const suite = join(tools, 'suite');
  const chosen = tests.length === 0 ? [`--schedule=${join(suite, 'parallel_schedule')}`] : ['test_setup', ...tests];
  return [
    '--use-existing',
    `--host=${host}`,
    `--port=${port}`,
    `--user=${server.superuser.user}`,
    `--dbname=${DATABASE}`,
    `--inputdir=${suite}`,
    `--outputdir=${output}`,
    `--bindir=${POSTGRES_BIN}`,
    `--dlpath=${join(tools, 'lib')}`,
    `--max-concurrent-tests=${MOST_AT_ONCE}`,
    ...chosen,
  ];
}

function readOutputs(output: string): ReadonlyMap<string, string> {
  const results = join(output, 'results');
  const files = readdirSync(results).filter((file) => file.endsWith('.out'));
  const read = (file: string) => readFileSync(join(results, file), 'latin1').replaceAll(output, 'OUTPUT');
  return new Map(files.map((file) => [file.slice(0, -'.out'.length), read(file)]));
}
