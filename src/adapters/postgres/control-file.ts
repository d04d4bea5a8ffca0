import { type Lsn, parseLsn } from '#domain/lsn.ts';
import type { Timeline } from '#domain/position.ts';
import { giveUp } from './job-error.ts';
import type { WalSizes } from './wal-layout.ts';

/** What pg_controldata shows of a stopped server. */
export interface ControlFile {
  readonly systemIdentifier: string;
  /** `shut down`, `shut down in recovery`, `in production`, `in archive recovery`, … */
  readonly state: string;
  readonly checkpoint: Lsn;
  readonly redo: Lsn;
  /** The later of the last checkpoint's and the end of the minimal recovery: where a recovery begins to look for timelines. */
  readonly timeline: Timeline;
  readonly minimumRecovery: Lsn;
  readonly sizes: WalSizes;
}

/** Throws a JobError `failed` when the output is not pg_controldata's. */
export function parseControlFile(output: string): ControlFile {
  const values = new Map(
    output.split('\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const];
    }),
  );
  const text = (name: string) => values.get(name) ?? giveUp('failed', `pg_controldata did not tell "${name}"`);
  const lsn = (name: string) => parseLsn(text(name)) ?? giveUp('failed', `pg_controldata told "${text(name)}" as "${name}"`);
  return {
    systemIdentifier: text('Database system identifier'),
    state: text('Database cluster state'),
    checkpoint: lsn('Latest checkpoint location'),
    redo: lsn("Latest checkpoint's REDO location"),
    timeline: Math.max(Number(text("Latest checkpoint's TimeLineID")), Number(text("Min recovery ending loc's timeline"))),
    minimumRecovery: lsn('Minimum recovery ending location'),
    sizes: { segmentBytes: Number(text('Bytes per WAL segment')), blockBytes: Number(text('WAL block size')) },
  };
}

export function isClean(control: ControlFile): boolean {
  return control.state === 'shut down' || control.state === 'shut down in recovery';
}
