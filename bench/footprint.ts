import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readProcess } from '#adapters/process/processes.ts';
import type { StatusDocument } from '#domain/status-document.ts';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { summarize } from './summary.ts';

const AT_REST_MS = 60_000;
const SETTLE_MS = 10_000;
const STATUS_RUNS = 20;
const TICKS_PER_S = 100;

interface Part {
  readonly part: string;
  readonly pid: number;
  readonly residentMb: number;
  readonly cpuPercent: number;
}

/** What three members at rest cost, and how long the commands take. Starts a cluster of its own by the command line. */
export async function benchFootprint(json: boolean): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'matriarch-bench-'));
  // The servers' own user has to pass through.
  await chmod(folder, 0o755);
  const dir = join(folder, 'c');
  const began = performance.now();
  const started = await runMatriarch(['up', '--detach', '--dir', dir]);
  const upMs = performance.now() - began;
  try {
    if (started.code !== 0) throw new Error(started.stderr);
    const statusMs: number[] = [];
    for (let i = 0; i < STATUS_RUNS; i++) {
      const from = performance.now();
      await runMatriarch(['status', '--dir', dir]);
      statusMs.push(performance.now() - from);
    }
    const document = JSON.parse((await runMatriarch(['status', '-o', 'json', '--dir', dir])).stdout) as StatusDocument;
    await sleep(SETTLE_MS);
    const parts = await measure(partsOf(document));
    const status = summarize(statusMs);
    if (json) process.stdout.write(`${JSON.stringify({ upMs, statusMs: status, parts }, null, 2)}\n`);
    else process.stdout.write(render(upMs, status.median, parts));
  } finally {
    await runMatriarch(['down', '--purge', '--dir', dir]);
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

function partsOf({ members, leader }: StatusDocument): readonly { readonly part: string; readonly pid: number }[] {
  return members.flatMap(({ name, agentPid, guardPid }) => {
    const who = name === leader ? `${name} (leader)` : name;
    const agent = agentPid === null ? [] : [{ part: `agent of ${who}`, pid: agentPid }];
    const guard = guardPid === null ? [] : [{ part: `guard of ${who}`, pid: guardPid }];
    const others = agentPid === null ? [] : childrenOf(agentPid).filter((pid) => pid !== guardPid);
    return [...agent, ...guard, ...others.map((pid) => ({ part: `${scriptOf(pid)} of ${who}`, pid }))];
  });
}

function childrenOf(parent: number): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && readProcess(pid)?.parentPid === parent);
}

/** The first script in a command line: what of Matriarch a process runs. */
function scriptOf(pid: number): string {
  const found = /([a-z-]+)-(?:main|child)\.[tj]s/.exec(readFileSync(`/proc/${pid}/cmdline`, 'latin1'));
  return found?.[1] ?? 'child';
}

async function measure(parts: readonly { readonly part: string; readonly pid: number }[]): Promise<readonly Part[]> {
  const before = parts.map(({ pid }) => readProcess(pid)?.cpuTicks ?? 0);
  await sleep(AT_REST_MS);
  return parts.map(({ part, pid }, index) => {
    const ticks = (readProcess(pid)?.cpuTicks ?? 0) - (before[index] ?? 0);
    return { part, pid, residentMb: residentMb(pid), cpuPercent: (100 * ticks) / TICKS_PER_S / (AT_REST_MS / 1000) };
  });
}

function residentMb(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
  return Number(kilobytes) / 1024;
}

function render(upMs: number, statusMs: number, parts: readonly Part[]): string {
  return [
    `up, from nothing to three streaming members: ${(upMs / 1000).toFixed(1)} s (≤ 15 s)`,
    `matriarch status, median of ${STATUS_RUNS}: ${statusMs.toFixed(0)} ms (≤ 300 ms)`,
    `at rest, over ${AT_REST_MS / 1000} s (an agent: ≤ 90 MB, ≤ 1 % of a core):`,
    ...parts.map(
      ({ part, residentMb, cpuPercent }) =>
        `  ${part.padEnd(28)}${residentMb.toFixed(0).padStart(6)} MB ${cpuPercent.toFixed(2).padStart(6)} %`,
    ),
    '',
  ].join('\n');
}
