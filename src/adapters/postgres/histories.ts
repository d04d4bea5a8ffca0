import type { Lineage, Timeline } from '#domain/position.ts';
import type { Session } from './session.ts';
import { historyName, parseHistory } from './timeline-history.ts';

/**
 * The timeline history files of the running server, read through it, so that a hung disk hangs a backend and not the agent. A file
 * that is there never changes its content; jobs that remove or add files call `forget`.
 */
export class Histories {
  readonly #known = new Map<Timeline, Lineage | null>();

  /** Undefined for a placeholder and where there is no file. */
  async lineage(timeline: Timeline, session: Session, timeoutMs: number): Promise<Lineage | undefined> {
    const known = this.#known.get(timeline);
    if (known !== undefined) return known ?? undefined;
    const [row] = await session.query<{ text: string | null }>(
      'SELECT pg_read_file($1, 0, 1048576, true) AS text',
      [`pg_wal/${historyName(timeline)}`],
      { timeoutMs, prepared: 'history' },
    );
    if (row?.text == null) return undefined;
    const lineage = parseHistory(row.text) ?? null;
    this.#known.set(timeline, lineage);
    return lineage ?? undefined;
  }

  forget(): void {
    this.#known.clear();
  }
}
