import { pinReasons } from '#core/pool/pins.ts';
import { ANY_EFFECT, EFFECT } from '#sql/effects.ts';
import type { StatementFacts } from '#sql/read-statement.ts';
import type { ClientSession } from './client-session.ts';
import { GROUP } from './group.ts';
import { drawsNumbers } from './session-numbers.ts';

/** Code of the database may listen as well. */
const LISTENS = EFFECT.listen | EFFECT.unlisten | EFFECT.code;

/** A text is about to run: what it may do to its session is noted. Answers with the bits of its group. */
export function noteStatement(session: ClientSession, facts: StatementFacts): number {
  count(session);
  session.traces.add(facts);
  let { effects } = facts;
  const executed = (effects & EFFECT.prepared) === 0 ? null : session.preparing.executedBy(facts);
  if (executed !== null) {
    session.traces.add(executed);
    effects |= executed.effects;
  }
  if (facts.effects !== ANY_EFFECT) session.traces.outlasts ||= (effects & EFFECT.locks) !== 0 || prepares(facts);
  if ((effects & (EFFECT.sequences | EFFECT.currval)) !== 0) drawsNumbers(session, effects);
  else if ((effects & EFFECT.code) !== 0 && session.server !== null) session.server.numbersOf = session;
  if ((effects & LISTENS) !== 0 && facts.unlisten === null && session.open === null) session.listening.bringBack();
  return (
    ((effects & EFFECT.writes) === 0 ? GROUP.reads : 0) |
    ((effects & EFFECT.ends) !== 0 ? GROUP.ends : 0) |
    ((effects & EFFECT.begins) !== 0 ? GROUP.begins : 0)
  );
}

/** PREPARE or DEALLOCATE. */
function prepares({ effects, named }: StatementFacts): boolean {
  return (effects & EFFECT.prepared) !== 0 && named?.verb !== 'execute';
}

/** Something runs whose text is not at hand. */
export function noteUnknown(session: ClientSession): number {
  count(session);
  session.traces.effects |= EFFECT.code;
  return GROUP.ends;
}

function count({ pins, home: { stats } }: ClientSession): void {
  stats.statements += 1;
  if (pins === 0) return;
  for (const reason of pinReasons(pins)) stats.pinned.set(reason, (stats.pinned.get(reason) ?? 0) + 1);
}
