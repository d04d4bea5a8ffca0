import type { IntermediaryName } from '../test/support/intermediaries/intermediary.ts';
import { machineFacts } from './machine-facts.ts';
import { type Arena, buildArena, DATABASE } from './proxy/arena.ts';
import { bulkCopy, type Direction } from './proxy/bulk-copy.ts';
import { type IdleClients, measureIdleClients } from './proxy/idle-clients.ts';
import { type Mode, type PgbenchRound, runPgbench } from './proxy/pgbench.ts';
import { type Cell, type CopyCell, judge, type Verdict } from './proxy/verdicts.ts';
import { summarize } from './summary.ts';

export interface ProxyBenchOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly clients: readonly number[];
  readonly modes: readonly Mode[];
  readonly contenders: readonly IntermediaryName[];
  readonly tls: boolean;
  /** 0: not measured. */
  readonly idle: number;
  /** 0: not measured. */
  readonly copyBytes: number;
  readonly json: boolean;
}

/** Every contender in front of one server, in turns. Returns the exit code: 1 when Matriarch's proxy failed, whatever its numbers. */
export async function benchProxy(options: ProxyBenchOptions): Promise<number> {
  const machine = machineFacts();
  const print = (text: string) => !options.json && process.stdout.write(text);
  const arena = await buildArena(options.contenders, { busy: Math.max(...options.clients), idle: options.idle }, options.tls);
  try {
    print(`${machine}; TLS ${options.tls ? 'on' : 'off'}; ${options.rounds} rounds of ${options.seconds} s, in turns\n`);
    for (const { title } of arena.contenders) print(`  ${title}\n`);
    for (const why of arena.absent) print(`  absent: ${why}\n`);
    print(line('pgbench -S', 'clients', 'tps', '× direct', 'p50 µs', 'p99 µs', 'CPU µs/tx'));
    const cells: Cell[] = [];
    for (const mode of options.modes) {
      for (const clients of options.clients) {
        const measured = await measureInTurns(arena, mode, clients, options);
        cells.push(...measured);
        for (const cell of measured) print(describe(cell, measured));
      }
    }
    const copies = await copyInTurns(arena, options);
    for (const { contender, direction, megabytesPerS } of copies)
      print(line(`COPY ${direction}, ${contender}`, `${megabytesPerS.toFixed(0)} MB/s`));
    const idle = await measureIdle(arena, options);
    for (const [contender, { opened, failure, seconds, beforeMb, residentMb }] of Object.entries(idle)) {
      const how = `${opened} in ${seconds.toFixed(1)} s, ${beforeMb.toFixed(0)} → ${residentMb.toFixed(0)} MB`;
      print(`idle clients, ${contender}: ${how}${failure === null ? '' : `, then: ${failure}`}\n`);
    }
    const complete = idle.matriarch?.opened === options.idle ? idle.matriarch.residentMb : null;
    const verdicts = options.tls ? [] : judge(cells, copies, complete);
    for (const verdict of verdicts) print(describeVerdict(verdict));
    if (options.json) process.stdout.write(`${JSON.stringify({ machine, options, cells, copies, idle, verdicts }, null, 2)}\n`);
    const own = cells.some(({ contender, failure }) => contender === 'matriarch' && failure !== null);
    return own || (options.contenders.includes('matriarch') && !arena.contenders.some(({ name }) => name === 'matriarch'))
      ? 1
      : 0;
  } finally {
    await arena.destroy();
  }
}

async function measureInTurns(arena: Arena, mode: Mode, clients: number, options: ProxyBenchOptions): Promise<Cell[]> {
  const { rounds, seconds, tls } = options;
  const { contenders, login, passwordFile, folder } = arena;
  const done = new Map(contenders.map(({ name }) => [name, [] as PgbenchRound[]]));
  const failures = new Map<IntermediaryName, string>();
  for (let round = 0; round < rounds; round++) {
    for (const through of contenders) {
      if (failures.has(through.name)) continue;
      const impossible = impossibleBecause(through.name, mode);
      try {
        if (impossible !== null) throw new Error(impossible);
        const own = { through, mode, clients, seconds, user: login.user, database: DATABASE, passwordFile, tls, folder };
        done.get(through.name)?.push(await runPgbench(own));
      } catch (error) {
        failures.set(through.name, (error as Error).message);
      }
    }
  }
  return [...done].map(([contender, all]) => {
    const median = (of: (round: PgbenchRound) => number) => summarize(all.map(of)).median;
    return {
      mode,
      clients,
      contender,
      transactionsPerS: median((round) => round.transactionsPerS),
      medianUs: median((round) => round.medianUs),
      p99Us: median((round) => round.p99Us),
      cpuUsPerTransaction: median((round) => round.cpuUsPerTransaction),
      rounds: all.length,
      failure: failures.get(contender) ?? null,
    };
  });
}

function impossibleBecause(contender: IntermediaryName, mode: Mode): string | null {
  return contender === 'pgbouncer' && mode === 'prepared' ? 'not possible: no prepared statements before pgbouncer 1.21' : null;
}

const COPY_ROUNDS = 3;

async function copyInTurns({ contenders, login, passwordFile, folder }: Arena, options: ProxyBenchOptions): Promise<CopyCell[]> {
  const cells: CopyCell[] = [];
  const { copyBytes: bytes, tls } = options;
  if (bytes === 0) return cells;
  for (const direction of ['out', 'in'] as const satisfies readonly Direction[]) {
    const rates = new Map(contenders.map(({ name }) => [name, [] as number[]]));
    for (let round = 0; round < COPY_ROUNDS; round++) {
      for (const through of contenders) {
        const own = { through, direction, bytes, user: login.user, database: DATABASE, passwordFile, tls, cwd: folder };
        rates.get(through.name)?.push(await bulkCopy(own));
      }
    }
    for (const [contender, all] of rates) cells.push({ contender, direction, megabytesPerS: summarize(all).median });
  }
  return cells;
}

/** Not of pgpool-II, which has a process for each client. */
async function measureIdle(arena: Arena, { idle }: ProxyBenchOptions): Promise<Partial<Record<IntermediaryName, IdleClients>>> {
  const measured: Partial<Record<IntermediaryName, IdleClients>> = {};
  if (idle === 0) return measured;
  for (const through of arena.contenders) {
    if (through.name !== 'pgbouncer' && through.name !== 'matriarch') continue;
    measured[through.name] = await measureIdleClients(through, arena.server, arena.login, DATABASE, idle);
  }
  return measured;
}

function describe({ mode, clients, contender, failure, ...numbers }: Cell, all: readonly Cell[]): string {
  const title = `${mode}, ${contender}`;
  if (failure !== null) return line(title, String(clients), `  ${failure}`);
  const direct = all.find((cell) => cell.contender === 'direct')?.transactionsPerS ?? Number.NaN;
  const { transactionsPerS, medianUs, p99Us, cpuUsPerTransaction: cpu } = numbers;
  const cells = [transactionsPerS.toFixed(0), (transactionsPerS / direct).toFixed(2), medianUs.toFixed(0), p99Us.toFixed(0)];
  return line(title, String(clients), ...cells, Number.isNaN(cpu) ? '–' : cpu.toFixed(1));
}

function describeVerdict({ what, value, target, met }: Verdict): string {
  return line(`${met ? 'met   ' : 'MISSED'} ${what}`.padEnd(52), value.toFixed(2), `(${target})`);
}

function line(title: string, ...cells: readonly string[]): string {
  return `${title.padEnd(26)}${cells.map((cell) => cell.padStart(11)).join('')}\n`;
}
