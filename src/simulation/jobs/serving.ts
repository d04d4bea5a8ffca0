import type { Incarnation } from '#domain/member.ts';
import type { JobResult } from '#domain/server.ts';
import type { VirtualMember } from '../member.ts';
import type { Task } from '../scheduler.ts';
import { DONE, failed } from './result.ts';

export function* slots(member: VirtualMember, keep: readonly Incarnation[]): Task<JobResult> {
  const { server, world } = member;
  if (server === null || !server.up) return failed('failed', 'no server runs');
  yield world.random.between(0.5, 6);
  while (server.runs && !server.process.runs) yield 20;
  if (!server.runs) return failed('failed', 'the server ended');
  for (const name of [...server.directory.slots.keys()])
    if (!keep.includes(name)) {
      for (const connection of [...server.connections]) if (connection.name === name) connection.endSender();
      server.directory.slots.delete(name);
    }
  for (const name of keep) if (!server.slot(name)) server.directory.slots.set(name, server.directory.redo);
  return DONE;
}

export function* gate(member: VirtualMember, open: boolean, cut: boolean): Task<JobResult> {
  const { server, world } = member;
  if (server === null || !server.up) return failed('failed', 'no server runs');
  yield world.random.between(0.3, 4);
  while (server.runs && (!server.process.runs || server.postmasterStopped)) yield 10;
  if (!server.runs || server.role !== 'primary') return failed('failed', 'no primary runs');
  const changed = server.gateOpen !== open;
  server.gateOpen = open;
  if (changed) world.note({ kind: 'gate', server, open });
  if (cut) for (const session of [...server.sessions]) session.close();
  return DONE;
}

export function* drain(member: VirtualMember, timeoutMs: number): Task<JobResult> {
  const { server, world } = member;
  if (server === null || !server.up) return failed('failed', 'no server runs');
  const until = world.scheduler.now + timeoutMs;
  const busy = [...server.sessions].filter((session) => session.busy);
  while (server.runs && world.scheduler.now < until && busy.some((session) => session.open && session.busy)) yield 5;
  if (!server.runs) return failed('failed', 'the server ended');
  return busy.some((session) => session.open && session.busy) ? failed('failed', 'transactions are still open') : DONE;
}

export function* checkpoint(member: VirtualMember): Task<JobResult> {
  const { server, world } = member;
  if (server === null || !server.up) return failed('failed', 'no server runs');
  yield world.random.between(10, 150) * member.volume.slowness;
  while (server.runs && (!server.process.runs || member.volume.hung)) yield 20;
  if (!server.runs) return failed('failed', 'the server ended');
  if (member.volume.full) return failed('diskFull', 'No space left on device');
  if (server.role === 'primary') {
    server.checkpoint();
    while (server.runs && !server.checkpointed) yield 5;
  }
  return server.runs ? DONE : failed('failed', 'the server ended');
}
