import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { EFFECT } from '#sql/effects.ts';
import type { ClientSession } from './client-session.ts';
import { GROUP, type Group } from './group.ts';
import { refusal } from './refusals.ts';
import type { ServerConnection } from './server-connection.ts';
import { TRANSACTION } from './transaction-status.ts';

type Timeouts = Pick<ProxyConfig['timeouts'], 'queryMs' | 'idleInTransactionMs' | 'clientIdleMs'>;

/** Ends what has taken too long. */
export function checkTimeouts(
  session: ClientSession,
  now: number,
  timeouts: Timeouts,
  cancel: (server: ServerConnection) => void,
): void {
  const { queryMs, idleInTransactionMs, clientIdleMs } = timeouts;
  const forMs = now - session.activeAt;
  const { server } = session;
  if (session.reads.convoy !== null) {
    if (queryMs > 0 && forMs > queryMs) void session.reads.convoy.cancel(session);
    return;
  }
  // Also one that stopped in the middle of a message, and one that keeps a connection between its transactions.
  const isSilent = server === null ? session.waitingSince === 0 : !server.isBusy && server.status === TRANSACTION.idle;
  if (isSilent) {
    if (clientIdleMs > 0 && forMs > clientIdleMs) session.end(refusal('clientIdle'));
  } else if (server === null) {
    return;
  } else if (server.isBusy) {
    if (queryMs > 0 && forMs > queryMs && mayCancel(session)) cancel(server);
  } else if (server.status !== TRANSACTION.idle && idleInTransactionMs > 0 && forMs > idleInTransactionMs) {
    session.end(refusal('idleInTransaction'));
  }
}

/** A cancel may go to the server: not while a commit waits, which would make it look done when it is not. */
export function mayCancel(session: ClientSession): boolean {
  const group = session.server?.expected[0];
  if (group === undefined || group.question !== null) return false;
  const commits = (group.flags & GROUP.ends) !== 0;
  return !commits && !(hidesWarnings(session) && (group.flags & GROUP.reads) === 0);
}

/** The warning that a commit is not on its standby would not be sent. */
function hidesWarnings({ state, traces }: ClientSession): boolean {
  const level = state.settings.get('client_min_messages') ?? '';
  return level === 'error' || (traces.effects & EFFECT.messages) !== 0;
}

/** The group may have committed something, and whether that lost its standby would not be said by the server. */
export function commitsUnseen(session: ClientSession, group: Group): boolean {
  const { traces } = session;
  const wrote = traces.wrote || (traces.effects & EFFECT.code) !== 0;
  return wrote && (group.flags & GROUP.reads) === 0 && hidesWarnings(session);
}
