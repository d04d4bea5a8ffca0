import { comparePositions, type Position, type Timeline } from '#domain/position.ts';
import type { JobResult, Upstream } from '#domain/server.ts';
import type { VirtualMember } from '../member.ts';
import type { VirtualServer } from '../postgres/server.ts';
import { standbyPosition } from '../postgres/view.ts';
import type { Task } from '../scheduler.ts';
import { tip } from '../wal.ts';
import { DONE, doneWithLog, failed } from './result.ts';

export function* follow(member: VirtualMember, upstream: Upstream): Task<JobResult> {
  const { world, server } = member;
  if (server === null || server.role !== 'standby') return failed('failed', 'no standby runs');
  yield world.random.between(0.5, 5);
  server.fetching = false;
  server.directory.upstream = upstream;
  server.directory.passwordValid = true;
  server.reload();
  while (server.runs && server.walreceiver !== null && server.walreceiver.upstream.member.name !== upstream.member) {
    server.walreceiver.endReceiver();
    yield 5;
  }
  if (!server.runs) return failed('failed', 'the server ended');
  server.scheduleConnect();
  return DONE;
}

/** Step 3 (b) to (d). */
export function* detach(member: VirtualMember): Task<JobResult> {
  const { world, server } = member;
  const directory = member.volume.pgdata;
  if (directory === null) return failed('unusable', 'there is no data directory');
  directory.passwordValid = false;
  yield world.random.between(0.3, 3);
  directory.upstream = null;
  yield world.random.between(0.3, 3);
  if (server === null || !server.runs) {
    if (member.server !== null) return failed('failed', 'a server was started meanwhile');
    yield world.random.between(1, 10);
    return doneWithLog(directory.log);
  }
  if (server.role === 'primary') return failed('failed', 'it is a primary');
  server.reload();
  yield* endWalreceiver(member, server);
  if (!server.runs) return failed('failed', 'the server ended');
  return yield* logAtRest(member, server);
}

function* endWalreceiver(member: VirtualMember, server: VirtualServer): Task<void> {
  const { options } = member.world;
  if (options.sabotage.detachAnswersEarly) return;
  while (server.runs && (server.walreceiver !== null || server.connecting || !server.process.runs)) {
    if (server.process.runs) server.walreceiver?.endReceiver();
    yield 4;
  }
}

/** The end of the valid WAL: known only once everything local is replayed, or by scanning it. */
function* logAtRest(member: VirtualMember, server: VirtualServer): Task<JobResult> {
  const { directory } = server;
  if (!member.world.options.sabotage.detachAnswersEarly) {
    directory.flushed = directory.log.length;
    server.scheduleReplay();
  }
  if (member.world.options.sabotage.positionUnderReported) {
    const known = standbyPosition(server);
    return { ok: true, log: { position: known.position, lineage: known.lineage } };
  }
  yield server.receivedSinceStart ? 1 : member.world.random.between(2, 20);
  return server.runs ? doneWithLog(directory.log) : failed('failed', 'the server ended');
}

export function* fetch(member: VirtualMember, upstream: Upstream, until: Position): Task<JobResult> {
  const { world, server } = member;
  if (server === null || server.role !== 'standby') return failed('failed', 'no standby runs');
  const giveUpAt = world.scheduler.now + 1500;
  yield world.random.between(0.5, 5);
  server.fetching = true;
  server.directory.upstream = upstream;
  server.directory.passwordValid = true;
  server.reload();
  server.scheduleConnect();
  while (server.runs && comparePositions(tip(server.directory.log).position, until) < 0 && world.scheduler.now < giveUpAt)
    yield 5;
  const result = yield* detach(member);
  if (server.runs) server.fetching = false;
  if (!result.ok) return result;
  return comparePositions(tip(server.directory.log).position, until) < 0
    ? failed('failed', `${upstream.member} did not deliver it`)
    : result;
}

/** pg_promote: once asked, the server does it by itself, whatever becomes of the agent. */
export function* promote(member: VirtualMember, timeline: Timeline): Task<JobResult> {
  const { world, server } = member;
  if (server === null || !server.up || server.role !== 'standby') return failed('failed', 'no standby runs');
  yield world.random.between(1, 8);
  if (timeline <= tip(server.directory.log).position.timeline) {
    server.end('crash');
    return failed('wrongTimeline', 'another timeline came out');
  }
  world.scheduler.start(server.process, server.promote(timeline), () => undefined);
  while (server.runs && server.role === 'standby') yield 3;
  if (!server.runs) return failed(server.volume.full ? 'diskFull' : 'failed', 'the server ended');
  yield world.random.between(1, 20);
  return server.runs ? doneWithLog(server.directory.log) : failed('failed', 'the server ended');
}
