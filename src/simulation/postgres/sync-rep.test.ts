import { describe, expect, test } from 'vitest';
import type { SyncSetting } from '#domain/leader-record.ts';
import type { VirtualMember } from '../member.ts';
import { quietWorld } from '../scenarios/scenario.ts';
import { Trace } from '../trace.ts';
import type { Row } from '../wal.ts';
import { World } from '../world.ts';
import { VirtualServer } from './server.ts';
import { Session } from './session.ts';

/**
 * The measured behaviour of PostgreSQL 15.18 that the model has to show, whatever agents do: there are none here. A primary a and
 * its standbys b and c, with slots, as the experiments had them.
 */
class Servers {
  readonly world: World;
  readonly a: VirtualServer;

  constructor(setting: SyncSetting) {
    this.world = new World({ ...quietWorld(1), clients: 0, lateReloadChance: 0 }, new Trace(false));
    const [a, b, c] = this.world.members;
    if (a === undefined || b === undefined || c === undefined) throw new Error('three members');
    this.world.happenings = [];
    this.a = this.start(a, setting);
    this.run(200);
    for (const member of [b, c]) this.follow(member, a);
    this.run(1500);
  }

  start(member: VirtualMember, setting: SyncSetting): VirtualServer {
    const directory = member.volume.pgdata;
    if (directory === null) throw new Error('no data');
    directory.setting = setting;
    const server = new VirtualServer(this.world, member, directory);
    member.server = server;
    this.world.scheduler.start(server.process, server.start(), () => undefined);
    return server;
  }

  follow(member: VirtualMember, upstream: VirtualMember): VirtualServer {
    const name = member.incarnation;
    this.a.directory.slots.set(name, 0);
    const directory = member.volume.pgdata;
    if (directory === null) throw new Error('no data');
    directory.upstream = { member: upstream.name, host: upstream.host, port: upstream.port, name };
    directory.passwordValid = true;
    return this.start(member, { sync: ['matriarch_none'], k: 1 });
  }

  /** Simulated milliseconds. No agent was ever started: nothing but servers moves. */
  run(ms: number): void {
    const end = this.world.scheduler.now + ms;
    for (const member of this.world.members) member.powered = true;
    while (this.world.scheduler.now < end && this.world.scheduler.next());
  }

  name(index: number): string {
    return this.world.members[index]?.incarnation ?? '';
  }

  connection(index: number) {
    const found = [...this.a.connections].find((connection) => connection.name === this.name(index));
    if (found === undefined) throw new Error(`${this.name(index)} does not stream`);
    return found;
  }

  /** What a client knows after a second: its commit went through, or it waits. */
  commit(): 'committed' | 'waits' {
    let outcome: 'committed' | 'waits' = 'waits';
    const row: Row = this.world.newRow();
    new Session(this.a, () => undefined).write(row, (result) => {
      if (result === 'committed') outcome = 'committed';
    });
    this.run(1000);
    return outcome;
  }

  alter(setting: SyncSetting): void {
    this.a.directory.setting = setting;
    this.a.reload();
  }

  /** Stops a standby's confirmations, as SIGSTOP of its walreceiver does. */
  silence(index: number): void {
    const { server } = this.world.members[index] ?? {};
    if (server != null) server.process.paused = true;
  }
}

const NOBODY: SyncSetting = { sync: ['matriarch_none'], k: 1 };
const EMPTY: SyncSetting = { sync: [], k: 0 };

describe('synchronous replication as PostgreSQL does it', () => {
  test('a commit waits for k of the named standbys', () => {
    const servers = new Servers(EMPTY);
    servers.alter({ sync: [servers.name(1), servers.name(2)], k: 1 });
    servers.run(200);
    expect(servers.commit()).toBe('committed');
    servers.silence(1);
    expect(servers.commit()).toBe('committed');
    servers.silence(2);
    expect(servers.commit()).toBe('waits');
  });

  test('a name that nobody bears makes every commit wait', () => {
    expect(new Servers(NOBODY).commit()).toBe('waits');
  });

  test("from '' to a set nothing waits while the checkpointer has not reloaded, whatever SHOW says", () => {
    const servers = new Servers(EMPTY);
    servers.a.directory.setting = NOBODY;
    servers.a.postmasterView = NOBODY;
    expect(servers.commit()).toBe('committed');
    servers.a.syncRep.setDefined(true);
    expect(servers.commit()).toBe('waits');
  });

  test('a walsender that has not reloaded lets commits go by the old set', () => {
    const servers = new Servers(EMPTY);
    const both = { sync: [servers.name(1), servers.name(2)], k: 1 };
    servers.alter(both);
    servers.run(200);
    servers.alter({ sync: [servers.name(1)], k: 1 });
    servers.run(200);
    servers.connection(2).view = both;
    servers.silence(1);
    expect(servers.commit()).toBe('committed');
    servers.connection(2).view = servers.a.directory.setting;
    expect(servers.commit()).toBe('waits');
  });

  test('while k is raised and a name added, a walsender with the old k counts the new name', () => {
    const servers = new Servers(EMPTY);
    const before = { sync: [servers.name(1)], k: 1 };
    const after = { sync: [servers.name(1), servers.name(2)], k: 2 };
    servers.alter(after);
    servers.run(200);
    servers.connection(1).view = before;
    servers.world.network.latencyMs = 0.1;
    const [, b] = servers.world.members;
    if (b?.server == null) throw new Error('b runs');
    b.server.process.paused = true;
    // b answers once more, with what it had: its walsender lets go what c alone has flushed.
    let released = false;
    const record = servers.a.probe((ended) => {
      released = ended;
    });
    servers.run(50);
    expect(servers.connection(2).flushed).toBeGreaterThanOrEqual(record.end);
    expect(servers.connection(1).flushed).toBeLessThan(record.end);
    expect(released).toBe(false);
    servers.a.confirmed(servers.connection(1));
    expect(released).toBe(true);
  });

  test('what lies in the log after a crash is visible after recovery, acknowledged or not', () => {
    const servers = new Servers(NOBODY);
    expect(servers.commit()).toBe('waits');
    expect(servers.a.visible).toHaveLength(0);
    servers.a.end('crash');
    const [a] = servers.world.members;
    if (a === undefined) throw new Error('a');
    const restarted = servers.start(a, NOBODY);
    servers.run(500);
    expect(restarted.visible).toHaveLength(1);
  });
});
