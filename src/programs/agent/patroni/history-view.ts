import type { HistoryEntry } from '#domain/leader-record.ts';

/** `[timeline that ended, where (bytes), why, when (ISO), who leads the next one]` */
export type HistoryLine = readonly [timeline: number, lsn: number, reason: string, at: string, leader: string];

/** The answer to `GET /history`: one line for each timeline that ended, oldest first. A lead that was taken up again ends none. */
export function historyView(entries: readonly HistoryEntry[]): readonly HistoryLine[] {
  const begun = new Set<number>();
  return [...entries]
    .sort((a, b) => a.epoch - b.epoch)
    .flatMap(({ timeline, lineage, cause, at, member }) => {
      const parent = lineage.at(-1);
      if (parent === undefined || begun.has(timeline)) return [];
      begun.add(timeline);
      return [[parent.timeline, Number(parent.end), cause, at, member] as const];
    });
}
