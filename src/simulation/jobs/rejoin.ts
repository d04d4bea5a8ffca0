import type { JobResult, Upstream } from '#domain/server.ts';
import { DataDirectory } from '../data-directory.ts';
import type { VirtualMember } from '../member.ts';
import type { VirtualServer } from '../postgres/server.ts';
import type { Task } from '../scheduler.ts';
import { commonLength, type Log, tip } from '../wal.ts';
import { DONE, failed } from './result.ts';

/** The upstream's server, if a connection of ours would reach a working primary there. */
function reach(member: VirtualMember, upstream: Upstream): VirtualServer | null {
  const { world } = member;
  const target = world.memberAt(upstream.host, upstream.port);
  if (target?.server == null || !world.network.joins(member.node, target.node)) return null;
  return target.server.isWritable && !target.server.postmasterStopped ? target.server : null;
}

export function* clone(member: VirtualMember, upstream: Upstream): Task<JobResult> {
  const { world, volume } = member;
  if (member.server !== null) return failed('failed', 'a server runs');
  const source = reach(member, upstream);
  if (source === null) return failed('failed', `${upstream.member} cannot be reached`);
  const parts = 4;
  for (let part = 0; part < parts; part++) {
    yield (world.random.between(30, 200) * volume.slowness) / 2;
    if (reach(member, upstream) !== source) return failed('failed', `${upstream.member} went away`);
    if (volume.full) return failed('diskFull', 'No space left on device');
    while (volume.hung) yield 50;
  }
  if (member.server !== null) return failed('failed', 'a server runs');
  const log = source.directory.log.slice(0, source.directory.flushed);
  const gaveUp = replace(member, source, log, 'clone');
  return gaveUp === null ? DONE : { ok: true, gaveUp };
}

/** pg_rewind. Against a primary that has made no checkpoint on its timeline yet it sees no reason to do anything. */
export function* rewind(member: VirtualMember, upstream: Upstream): Task<JobResult> {
  const { world, volume } = member;
  const directory = volume.pgdata;
  if (member.server !== null) return failed('failed', 'a server runs');
  if (directory === null) return failed('unusable', 'there is no data directory');
  const source = reach(member, upstream);
  if (source === null) return failed('failed', `${upstream.member} cannot be reached`);
  yield world.random.between(20, 120) * volume.slowness;
  if (reach(member, upstream) !== source) return failed('failed', `${upstream.member} went away`);
  if (!source.checkpointed) return DONE;
  const common = commonLength(source.directory.log, directory.log);
  if (common === directory.log.length) return DONE;
  if (common < source.directory.oldest || common < directory.oldest)
    return failed('unusable', 'WAL since the common ancestor is gone');
  if (volume.full) return failed('diskFull', 'No space left on device');
  volume.pgdata = null; // Half rewritten: whoever finds it now can only clone.
  yield world.random.between(20, 200) * volume.slowness;
  const after = reach(member, upstream);
  if (after !== source) return failed('unusable', `${upstream.member} went away in the middle`);
  volume.pgdata = directory;
  const gaveUp = replace(member, source, source.directory.log.slice(0, source.directory.flushed), 'rewind');
  return gaveUp === null ? DONE : { ok: true, gaveUp };
}

function replace(member: VirtualMember, source: VirtualServer, log: Log, by: 'rewind' | 'clone') {
  const { volume, world } = member;
  const old = volume.pgdata;
  const fresh = new DataDirectory({
    systemIdentifier: source.directory.systemIdentifier,
    incarnation: volume.promise.incarnation,
    log,
    oldest: Math.min(source.directory.redo, log.length - 1),
    redo: Math.min(source.directory.redo, log.length - 1),
    standbySignal: true,
    clean: false,
  });
  volume.pgdata = fresh;
  if (old === null) return null;
  const kept = commonLength(old.log, log);
  world.note({
    kind: 'discarded',
    member,
    incarnation: volume.promise.incarnation,
    incarnations: [...old.incarnations],
    log: old.log,
    kept,
    promise: volume.promise.promise,
    by,
  });
  const from = old.log[kept - 1];
  return kept === old.log.length || from === undefined ? null : { from: from.position, to: tip(old.log).position };
}
