import type { JobResult, Upstream } from '#domain/server.ts';
import { DataDirectory, NOBODY } from '../data-directory.ts';
import type { VirtualMember } from '../member.ts';
import { VirtualServer } from '../postgres/server.ts';
import type { Task } from '../scheduler.ts';
import { append, firstRecord } from '../wal.ts';
import { DONE, doneWithLog, failed } from './result.ts';

export function* bootstrap(member: VirtualMember): Task<JobResult> {
  const { world, volume } = member;
  if (member.server !== null) return failed('failed', 'a server runs');
  yield world.random.between(40, 300) * volume.slowness;
  if (volume.full) return failed('diskFull', 'No space left on device');
  const systemIdentifier = `7${world.random.below(1_000_000_000)}`;
  volume.pgdata = new DataDirectory({
    systemIdentifier,
    incarnation: member.incarnation,
    log: [firstRecord()],
    oldest: 0,
    redo: 0,
    standbySignal: false,
    clean: true,
  });
  const started = yield* startPrimary(member);
  return started.ok ? { ...started, systemIdentifier } : started;
}

export function* startPrimary(member: VirtualMember): Task<JobResult> {
  const directory = member.volume.pgdata;
  if (directory === null) return failed('unusable', 'there is no data directory');
  if (member.server !== null) return failed('failed', 'a server runs');
  directory.standbySignal = false;
  directory.setting = NOBODY;
  directory.foreignSetting = false;
  directory.upstream = null;
  directory.passwordValid = false;
  return yield* startServer(member, directory);
}

/** The server starts by itself, whatever becomes of the agent. */
function* startServer(member: VirtualMember, directory: DataDirectory): Task<JobResult> {
  const server = new VirtualServer(member.world, member, directory);
  member.server = server;
  if (member.agent !== null) member.agent.inForce = { server, setting: directory.setting };
  member.world.scheduler.start(server.process, server.start(), () => undefined);
  while (server.runs && !server.up) yield 2;
  if (!server.runs) return failed(member.volume.full ? 'diskFull' : 'failed', 'the server ended while it started');
  return doneWithLog(directory.log);
}

export function* startStandby(member: VirtualMember, upstream: Upstream | null): Task<JobResult> {
  const { world, volume } = member;
  const directory = volume.pgdata;
  if (directory === null) return failed('unusable', 'there is no data directory');
  if (member.server !== null) return failed('failed', 'a server runs');
  directory.standbySignal = true;
  directory.setting = NOBODY;
  directory.foreignSetting = false;
  directory.upstream = upstream;
  directory.passwordValid = upstream !== null;
  yield world.random.between(0.5, 5);
  if (member.server !== null) return failed('failed', 'a server runs');
  const result = yield* startServer(member, directory);
  return result.ok ? DONE : result;
}

export function* stop(member: VirtualMember, mode: 'fast' | 'kill'): Task<JobResult> {
  const { world } = member;
  const { server } = member;
  yield world.random.between(0.5, 5);
  if (server === null || !server.runs) return stopped(member);
  if (mode === 'fast') yield* stopInOrder(member, server);
  if (server.runs) {
    server.end('crash');
    yield world.random.between(0.5, 5);
  }
  return stopped(member);
}

function stopped(member: VirtualMember): JobResult {
  const directory = member.volume.pgdata;
  return directory === null ? DONE : doneWithLog(directory.log);
}

/** A fast stop: backends are terminated, then the shutdown checkpoint, which every connected standby has to have before the end. */
function* stopInOrder(member: VirtualMember, server: VirtualServer): Task<void> {
  const { scheduler } = member.world;
  const giveUpAt = scheduler.now + member.world.config.timings.stopTimeoutMs;
  while (server.runs && (!server.process.runs || !server.up)) {
    if (scheduler.now > giveUpAt) return;
    yield 20;
  }
  if (!server.runs) return;
  server.gateOpen = false;
  for (const session of [...server.sessions]) session.close();
  server.syncRep.cancelAll();
  while (server.runs && (!server.process.runs || server.volume.hung || server.volume.full)) {
    if (scheduler.now > giveUpAt) return;
    yield 20;
  }
  if (!server.runs) return;
  if (server.role === 'standby') return stopStandby(server);
  const record = append(server.directory.log, 'shutdown', 110, null);
  let flushed = false;
  server.flush(record, () => {
    flushed = true;
  });
  while (server.runs && scheduler.now <= giveUpAt) {
    yield 2;
    if (flushed && [...server.connections].every((connection) => connection.flushed >= record.end)) {
      if (server.process.runs) server.end('stop');
      return;
    }
  }
}

function stopStandby(server: VirtualServer): void {
  server.walreceiver?.endReceiver();
  server.directory.flushed = server.directory.log.length;
  server.end('stop');
}
