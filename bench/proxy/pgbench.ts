import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runTool } from '#adapters/postgres/tool.ts';
import { readProcess } from '#adapters/process/processes.ts';
import type { Intermediary } from '../../test/support/intermediaries/intermediary.ts';
import { POSTGRES_BIN } from '../../test/support/plain-server.ts';

export const MODES = ['simple', 'extended', 'prepared'] as const;
export type Mode = (typeof MODES)[number];

export interface PgbenchRound {
  readonly transactionsPerS: number;
  readonly medianUs: number;
  readonly p99Us: number;
  /** Of all processes of the intermediary, user and system, without the logins. NaN: it has none. */
  readonly cpuUsPerTransaction: number;
}

export interface PgbenchOptions {
  readonly through: Intermediary;
  readonly mode: Mode;
  readonly clients: number;
  readonly seconds: number;
  readonly user: string;
  readonly database: string;
  readonly passwordFile: string;
  readonly tls: boolean;
  /** For its logs; they are removed. */
  readonly folder: string;
}

const US_PER_TICK = 10_000;
/** pgbench's clock runs while it logs in: time for that many clients a second goes on top, so that what is measured is as long for all. */
const LOGINS_PER_S = 40;
/** Of the time: the logins are over, and nothing has ended yet. */
const CPU_FROM = 0.3;
const CPU_UNTIL = 0.9;
/** One of ten transactions is logged: enough for a 99th percentile, and it disturbs nothing. */
const SAMPLED = 0.1;

/** `pgbench -S` for so many seconds. Errors: pgbench's own, when it could not run to its end. */
export async function runPgbench(options: PgbenchOptions): Promise<PgbenchRound> {
  const { through, mode, clients, seconds, user, database, passwordFile, tls, folder } = options;
  const log = join(folder, 'latency');
  const loginSeconds = Math.ceil(clients / LOGINS_PER_S);
  const lasting = ['-T', String(loginSeconds + seconds)];
  const args = ['-n', '-S', '-M', mode, '-c', String(clients), '-j', String(Math.min(clients, 2)), ...lasting];
  const addressed = ['-h', through.host, '-p', String(through.port), '-U', user, database];
  const done = runTool({
    program: join(POSTGRES_BIN, 'pgbench'),
    args: [...args, '-l', `--log-prefix=${log}`, `--sampling-rate=${SAMPLED}`, ...addressed],
    owner: undefined,
    cwd: folder,
    env: { PGPASSFILE: passwordFile, PGSSLMODE: tls ? 'require' : 'disable', PGGSSENCMODE: 'disable', PGCONNECT_TIMEOUT: '60' },
    timeoutMs: (loginSeconds + seconds) * 1000 + 60_000,
  });
  const [ran, cpuPerS] = await Promise.all([done, cpuUsPerS(through, loginSeconds * 1000, seconds * 1000)]);
  try {
    const transactionsPerS = Number(/^tps = ([\d.]+)/m.exec(ran.stdout)?.[1]);
    if (ran.code !== 0 || Number.isNaN(transactionsPerS)) throw new Error(firstError(ran.stderr));
    if (transactionsPerS === 0) throw new Error(`${clients} logins took all of the time`);
    return { transactionsPerS, ...latencies(folder), cpuUsPerTransaction: cpuPerS / transactionsPerS };
  } finally {
    for (const file of logs(folder)) rmSync(file);
  }
}

async function cpuUsPerS(through: Intermediary, loginMs: number, ms: number): Promise<number> {
  await sleep(loginMs + ms * CPU_FROM);
  const from = { ticks: ticksOf(through), at: performance.now() };
  await sleep(ms * (CPU_UNTIL - CPU_FROM));
  const until = { ticks: ticksOf(through), at: performance.now() };
  return through.name === 'direct' ? Number.NaN : ((until.ticks - from.ticks) * US_PER_TICK) / ((until.at - from.at) / 1000);
}

function ticksOf(through: Intermediary): number {
  return through.pids().reduce((sum, pid) => sum + (readProcess(pid)?.cpuTicks ?? 0), 0);
}

/** pgbench's log of transactions: client, number, microseconds, … (manual, "Per-Transaction Logging"). */
function latencies(folder: string): { readonly medianUs: number; readonly p99Us: number } {
  const lines = logs(folder).flatMap((file) => readFileSync(file, 'latin1').split('\n'));
  const us = Float64Array.from(lines.filter((line) => line !== '').map((line) => Number(line.split(' ')[2]))).sort();
  const at = (share: number) => us[Math.floor((us.length - 1) * share)] ?? Number.NaN;
  return { medianUs: at(0.5), p99Us: at(0.99) };
}

function logs(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.startsWith('latency.'))
    .map((name) => join(folder, name));
}

function firstError(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => line.includes('error')) ?? lines.at(-1) ?? 'pgbench said nothing').slice(0, 200);
}
