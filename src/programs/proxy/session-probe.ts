import { PIN } from '#core/pool/pins.ts';
import { type Found, probeFor } from '#core/pool/probe.ts';
import type { SessionState } from '#core/pool/session-state.ts';
import { EFFECT } from '#sql/effects.ts';
import { readDataRow } from '#wire/decode-backend.ts';
import type { ClientSession } from './client-session.ts';
import type { Statement } from './prepared-on-server.ts';
import type { ServerConnection } from './server-connection.ts';

/**
 * Asks a server connection what the transaction that has just ended left on it. The client is not kept waiting; nobody else gets the
 * connection before the answer.
 */
export function probeSession(session: ClientSession, server: ServerConnection): void {
  const { home } = session;
  const traces = session.traces.take();
  // What belongs to a temporary table (its defaults, its triggers) is in no catalog that was read.
  if ((session.pins & (PIN.temporary | PIN.unreadable)) !== 0) traces.effects |= EFFECT.code;
  const settings = home.watch.settingsBeside(traces.settings);
  const name = session.initial.settings.get('application_name');
  const probe = probeFor(traces, session.state, session.pins, session.login, settings, name);
  if ((traces.effects & (EFFECT.code | EFFECT.unnamed)) !== 0) server.strange = session;
  home.stats.probes += 1;
  session.probing = true;
  session.probed = traces.effects;
  const held = server.prepared.all();
  let row: readonly (string | null)[] | undefined;
  server.ask(probe.sql, {
    onRow: (message) => {
      row = readDataRow(message);
    },
    onDone: (error) => {
      if (session.server !== server) return;
      session.probing = false;
      session.report(server);
      const found = error === null && row !== undefined ? probe.read(row, session.pins, home.states) : undefined;
      if (found === undefined) session.pins |= PIN.unreadable;
      else {
        checkPrepared(session, server, held, found.ofProtocol);
        learn(session, server, { ...found, pins: found.pins & ~PIN.unreadable });
      }
      session.releaseIfFree();
      // Names that it has read about may be waited for.
      session.messages.resume();
    },
  });
}

/** Code may have deallocated what is prepared there for everybody, this session's own included. */
function checkPrepared(session: ClientSession, server: ServerConnection, held: readonly Statement[], count: number | null): void {
  // The unnamed statement is none of them.
  if (count === null || count === held.length) return;
  if (count !== 0) server.retired = true;
  else for (const statement of held) server.prepared.delete(statement);
  if (count === 0) session.preparing.clear();
}

function learn(session: ClientSession, server: ServerConnection, { state, pins, channels }: Found): void {
  server.session = state;
  session.state = state;
  // DISCARD ALL leaves the seed as it is; nobody else is to foresee his random numbers by it.
  if ((session.pins & PIN.seed) !== 0 && (pins & PIN.seed) === 0) server.retired = true;
  // Its local buffers are sized for good by the first temporary table.
  if ((session.pins & PIN.temporary) !== 0 && (pins & PIN.temporary) === 0) server.retired = true;
  session.pins = withPrepared(session.pins, pins, state);
  if (channels !== null) session.listening.found(channels);
}

/** What PREPARE made while there were temporary tables may name them, and cannot be made again elsewhere when they are gone. */
function withPrepared(before: number, after: number, { prepared }: SessionState): number {
  if (prepared.size === 0) return after & ~PIN.prepared;
  const ends = (before & PIN.temporary) !== 0 && (after & PIN.temporary) === 0;
  return ends ? after | PIN.prepared : after;
}
