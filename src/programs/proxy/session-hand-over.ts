import { handOver } from '#core/pool/hand-over.ts';
import type { ClientSession } from './client-session.ts';
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
        session.handedOver(server, error, before);
      },
    });
  }
  for (const text of statements) server.ask(text, { onDone: () => {} });
  if (!certain) toServers.flush();
}
