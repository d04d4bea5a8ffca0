import type { HistoryEntry } from '#domain/leader-record.ts';
import { askAnyone } from './ask.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { type Paint, paintFor } from './paint.ts';
import { renderTable } from './table.ts';

/** Over the API the positions are text. */
type HistoryLine = Omit<HistoryEntry, 'lineage'> & {
  readonly lineage: readonly { readonly timeline: number; readonly end: string }[];
};

export function renderHistory(entries: readonly HistoryLine[], paint: Paint): string {
  const rows = entries.map((entry) => {
    const parent = entry.lineage.at(-1);
    const evidence = Object.entries(entry.evidence).map(([member, position]) => `${member} at ${position}`);
    const lost = entry.lost === undefined ? [] : [paint('red', `gave up ${entry.lost}`)];
    return [
      String(entry.epoch),
      entry.at.replace('T', ' ').replace(/\.\d+Z$/, 'Z'),
      entry.member,
      entry.cause,
      String(entry.timeline),
      parent === undefined ? '–' : `${parent.timeline} at ${parent.end}`,
      [...evidence, ...lost].join(', ') || '–',
    ];
  });
  const columns = ['EPOCH', 'WHEN', 'LEADER', 'CAUSE', 'TIMELINE', 'FROM TIMELINE', 'PROMISES'];
  return renderTable(
    columns.map((title) => (title === 'EPOCH' || title === 'TIMELINE' ? { title, align: 'right' } : { title })),
    rows,
    paint,
  );
}

export async function history(options: Where & { readonly output: 'table' | 'json' }): Promise<void> {
  const entries = (await askAnyone(await openCluster(options), 'GET', '/history')) as readonly HistoryLine[];
  const text = options.output === 'json' ? JSON.stringify(entries, null, 2) : renderHistory(entries, paintFor(process.stdout));
  process.stdout.write(`${text}\n`);
}
