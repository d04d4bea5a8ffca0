import { handOver } from '#core/pool/hand-over.ts';
import { restoreName } from '#core/pool/restore-name.ts';
import { EMPTY_STATE, type SessionState } from '#core/pool/session-state.ts';
import type { ClientSession } from './client-session.ts';
import { refusal } from './refusals.ts';
import { type ServerConnection, toServers } from './server-connection.ts';

/**
 * Makes a connection that another session used ready for this one, ahead of its messages. What cannot fail goes in the same packet;
 * behind anything else the session waits.
 */
export function handOverTo(session: ClientSession, server: ServerConnection): void {
  const before = server.session;
  const strange = server.strange !== null && server.strange !== session;
  const { settings, certain, statements } = handOver(before, session.state, strange);
  if (strange) server.strange = null;
  const { stats } = session.home;
  server.session = session.state;
  if (settings !== '') {
    session.handingOver ||= !certain;
    const askedAt = performance.now();
    server.ask(settings, {
      onDone: (error) => {
        stats.handOvers += 1;
        stats.latency.handOver.observe((performance.now() - askedAt) * 1000);
        handedOver(session, server, error, before);
      },
    });
  }
  for (const text of statements) server.ask(text, { onDone: () => {} });
  if (!certain) toServers.flush();
}

/** The answer, which the session may have waited for. */
function handedOver(session: ClientSession, server: ServerConnection, error: Buffer | null, before: SessionState): void {
  // Its client is gone, or has lost it and may wait for the same on another one.
  if (session.server !== server) return;
  const waited = session.handingOver;
  session.handingOver = false;
  if (error === null) {
    session.report(server);
    if (waited) session.messages.resume();
    return;
  }
  if (waited) session.leave(server);
  server.close('the settings of a session could not be restored on it');
  if (!waited) return;
  // What another session left there may be in the way; on a new connection it is its own.
  if (before !== EMPTY_STATE) session.messages.resume();
  else session.messages.refuse(refusal('stateLost', error));
}

/** Inside a transaction, of which the session may yet see the rest. */
export function restoreNameOn(session: ClientSession, server: ServerConnection): void {
  session.traces.resetsName = false;
  const name = session.initial.settings.get('application_name');
  if (name === undefined) return;
  server.ask(restoreName(name), { onDone: () => session.server === server && session.report(server) });
}
