import { EFFECT } from '#sql/effects.ts';
import type { ClientSession } from './client-session.ts';

/** Applications that are remembered. */
const MOST_ASKING = 1000;

/** What currval() answers belongs to the session that drew: what another one drew is thrown away before it could be seen. */
export function drawsNumbers(session: ClientSession, effects: number): void {
  const { server, home } = session;
  if (server === null) return;
  if ((effects & EFFECT.currval) !== 0 && home.askingCurrval.size < MOST_ASKING) home.askingCurrval.add(applicationOf(session));
  if (server.numbersOf === session) return;
  const isForeign = server.numbersOf !== null;
  if (isForeign && asksCurrval(session) && session.open === null) server.ask('DISCARD SEQUENCES', { onDone: () => {} });
  server.numbersOf = session;
}

/** Its application has asked before: sessions of it keep the connection that they drew numbers on. */
export function asksCurrval(session: ClientSession): boolean {
  return session.home.askingCurrval.has(applicationOf(session));
}

function applicationOf({ initial }: ClientSession): string {
  return initial.settings.get('application_name') ?? '';
}
