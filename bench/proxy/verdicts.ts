import type { IntermediaryName } from '../../test/support/intermediaries/intermediary.ts';
import type { Direction } from './bulk-copy.ts';
import type { Mode } from './pgbench.ts';

/** Medians of all rounds. */
export interface Cell {
  readonly mode: Mode;
  readonly clients: number;
  readonly contender: IntermediaryName;
  readonly transactionsPerS: number;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly cpuUsPerTransaction: number;
  readonly rounds: number;
  /** Why there are no numbers. */
  readonly failure: string | null;
}

export interface CopyCell {
  readonly contender: IntermediaryName;
  readonly direction: Direction;
  readonly megabytesPerS: number;
}

export interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly target: number;
  readonly met: boolean;
}

/** TLS off, on one machine, interleaved. */
const TARGETS = {
  pgbouncer: { clients: 64, ratio: 0.85 },
  pgpool: { clients: 64, ratio: 2.5 },
  direct: { clients: 1, ratio: 0.6 },
  addedMedianUs: 60,
  idleMb: 300,
  copyRatio: 0.7,
} as const;

/** What was measured of Matriarch beside what it is to reach; a target without its measurement is left out. */
export function judge(cells: readonly Cell[], copies: readonly CopyCell[], idleMb: number | null): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  const add = (what: string, value: number, target: number, atMost = false) => {
    if (!Number.isNaN(value)) verdicts.push({ what, value, target, met: atMost ? value <= target : value >= target });
  };
  for (const own of cells.filter(({ contender }) => contender === 'matriarch')) {
    const beside = (contender: IntermediaryName) =>
      cells.find((cell) => cell.contender === contender && cell.mode === own.mode && cell.clients === own.clients);
    for (const peer of ['pgbouncer', 'pgpool', 'direct'] as const) {
      const { clients, ratio } = TARGETS[peer];
      const other = beside(peer);
      if (own.clients !== clients || other === undefined) continue;
      add(`${own.mode}, ${clients} clients: × ${peer}`, own.transactionsPerS / other.transactionsPerS, ratio);
    }
    const added = own.medianUs - (beside('direct')?.medianUs ?? Number.NaN);
    if (own.clients === 1) add(`${own.mode}: added median latency, µs`, added, TARGETS.addedMedianUs, true);
  }
  for (const { direction, megabytesPerS } of copies.filter(({ contender }) => contender === 'matriarch')) {
    const direct = copies.find((copy) => copy.contender === 'direct' && copy.direction === direction)?.megabytesPerS;
    add(`COPY ${direction}: × direct`, megabytesPerS / (direct ?? Number.NaN), TARGETS.copyRatio);
  }
  if (idleMb !== null) add('10,000 idle clients, MB', idleMb, TARGETS.idleMb, true);
  return verdicts;
}
