import type { SyncSetting } from '#domain/leader-record.ts';
import type { JobResult } from '#domain/server.ts';
import { NOBODY } from '../data-directory.ts';
import type { VirtualMember } from '../member.ts';
import type { VirtualServer } from '../postgres/server.ts';
import type { Task } from '../scheduler.ts';
import { DONE, failed } from './result.ts';

/** Whatever an agent that died left half done: no names, and walsenders that decide by anything. */
const UNKNOWN: SyncSetting = { sync: [], k: 0 };

/** Writes the setting and waits until it is in force, which is not what SHOW says. */
export function* setSync(member: VirtualMember, setting: SyncSetting, wait: boolean): Task<JobResult> {
  const { server, world } = member;
  if (server === null || server.role !== 'primary') return failed('failed', 'no primary runs');
  const known = member.agent?.inForce;
  const before = known?.server === server && server.directory.setting === known.setting ? known.setting : UNKNOWN;
  if (member.agent !== null) member.agent.inForce = null;
  const { foreignChanges } = server;
  const target = setting.k > 0 ? setting : wait ? NOBODY : { sync: [], k: 0 };
  yield world.random.between(0.5, 4);
  if (world.options.sabotage.inForceEndsEarly) {
    yield* write(server, target);
    return server.runs ? DONE : failed('failed', 'the server ended');
  }
  const through = before.k === 0 && target.k > 0;
  if (through && !(yield* stopAll(server))) return failed('failed', 'the server ended');
  yield* write(server, target);
  const since = world.scheduler.now;
  while (server.runs && !inForce(server, target)) yield 5;
  const raised = !through && before !== NOBODY && target.k > before.k;
  while (raised && server.runs) {
    const older = [...server.connections].find((one) => one.startedAt < since && target.sync.includes(one.name));
    if (older === undefined) break;
    if (server.process.runs) older.endSender();
    yield 3;
  }
  if (!server.runs) return failed('failed', 'the server ended');
  if (server.foreignChanges !== foreignChanges) return failed('failed', 'somebody changed it meanwhile');
  server.vouched = true;
  if (member.agent !== null) member.agent.inForce = { server, setting: target };
  return DONE;
}

/** Nobody is waited for, or it is unknown what runs: first every commit has to wait, and no walsender may hold anything older. */
function* stopAll(server: VirtualServer): Task<boolean> {
  yield* write(server, NOBODY);
  if (!(yield* probeUntilItWaits(server))) return false;
  while (server.runs && !inForce(server, NOBODY)) yield 5;
  return server.runs;
}

/** Ends when a new backend, which has what the postmaster has read, shows the value. */
function* write(server: VirtualServer, setting: SyncSetting): Task<void> {
  server.directory.setting = setting;
  server.directory.foreignSetting = false;
  server.reload();
  while (server.runs && server.postmasterView !== setting) yield 2;
}

/** Every walsender shows by its priority whether it counts itself in. */
function inForce(server: VirtualServer, setting: SyncSetting): boolean {
  for (const connection of server.connections)
    if (connection.isSynchronous !== setting.sync.includes(connection.name)) return false;
  return true;
}

function* probeUntilItWaits(server: VirtualServer): Task<boolean> {
  while (server.runs) {
    let released = false;
    const record = server.probe((ended) => {
      released = ended;
    });
    for (let look = 0; look < 5 && !released && !server.syncRep.isWaiting(record); look++) yield 3;
    if (server.syncRep.isWaiting(record)) {
      server.syncRep.cancel(record);
      return true;
    }
  }
  return false;
}
