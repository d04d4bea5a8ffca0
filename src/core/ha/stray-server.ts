import type { ServerView } from '#domain/server.ts';
import { pushGuard } from './proof.ts';
import type { Turn } from './turn.ts';

/** A server that answers nobody for so long is ended; nobody reads from it anyway. */
const STUCK_MS = 10_000;

type Primary = Extract<ServerView, { state: 'primary' }>;

/** A server that must not run as it does: a primary that does not lead, or one that answers nobody. Returns whether it acted. */
export function stopStray(turn: Turn): boolean {
  const { state } = turn;
  const server = state.server;
  const busy = state.job?.job.kind;
  if (server === null || busy === 'stop' || busy === 'bootstrap') return false;
  if (server.state === 'primary') return stopPrimary(turn, server);
  if (busy !== undefined) return false;
  // It may be a primary of a run before, behind a disk that does not answer; a standby loses nothing by being started again.
  const unknownRole = server.state === 'stuck' && state.record?.value !== null && state.guardDeadline === null;
  if (unknownRole && turn.applies('fence')) pushGuard(turn, state.startedAt + state.config.timings.leaseMs / 3);
  // The guard of a leader that was holds its deadline until the server is seen to be none any more.
  if (server.state === 'standby' || server.state === 'stopped' || server.state === 'absent') pushGuard(turn, null);
  if (server.state !== 'stuck' || turn.now - state.unstuckAt < STUCK_MS) return false;
  turn.say('H11', `its server is stuck (${server.why}): ended`);
  turn.run({ kind: 'stop', mode: 'kill' });
  return true;
}

function stopPrimary(turn: Turn, server: Primary): boolean {
  const { state } = turn;
  const record = state.record?.value;
  const stray = record != null && (record.member !== state.self.name || state.promise > record.epoch);
  if (stray && turn.applies('stopBelowEpoch')) {
    turn.say('stopBelowEpoch', `a primary that does not lead: epoch ${record.epoch} belongs to ${record.member}`);
    turn.run({ kind: 'stop', mode: 'kill' });
    return true;
  }
  const bootstrapping = state.record !== null && record == null;
  if (bootstrapping || state.job !== null || !turn.applies('fence')) return false;
  return fenceUnproven(turn, server);
}

/** A restarted agent found a primary, and nothing has shown yet in this run that it leads: the store may be away. */
function fenceUnproven(turn: Turn, server: Primary): boolean {
  const { state, now } = turn;
  const { fenceMs, leaseMs } = state.config.timings;
  // Not over what the guard holds from an earlier run: that was proven.
  if (state.guardDeadline === null) pushGuard(turn, state.startedAt + fenceMs);
  if (!state.guardAlive || now - state.startedAt > leaseMs) {
    turn.say('fence', 'its server runs as a primary without proof, and no guard holds a deadline for it: it is ended');
    turn.run({ kind: 'stop', mode: 'kill' });
    return true;
  }
  if (!server.gateOpen || now - state.startedAt < fenceMs) return false;
  turn.say('fence', 'found its server serving, and no proof that it leads came within the fence: clients are cut');
  turn.run({ kind: 'gate', open: false, cut: true });
  return true;
}
