import type { VirtualMember } from './member.ts';
import { Session } from './postgres/session.ts';
import type { Row } from './wal.ts';
import type { World } from './world.ts';

/**
 * Writes numbered rows through whoever admits clients as a primary (several members at once, if the world lets it come to that),
 * remembers every acknowledgement, and reads.
 */
export class Client {
  readonly #world: World;
  #session: Session | null = null;
  readonly #patienceMs: number;

  constructor(world: World) {
    this.#world = world;
    this.#patienceMs = world.random.between(1000, 5000);
    this.#pause();
  }

  #after(delayMs: number, run: () => void): void {
    this.#world.scheduler.after(delayMs, null, run);
  }

  #pause(): void {
    this.#after(this.#world.options.thinkMs * this.#world.random.between(0.3, 1.7), () => this.#act());
  }

  #act(): void {
    if (this.#session?.open !== true) return this.#connect();
    if (this.#world.random.chance(0.25)) this.#read(this.#session);
    else this.#write(this.#session);
  }

  #reaches(member: VirtualMember): boolean {
    return this.#world.network.joins(this.#world.clientNode, member.node);
  }

  #connect(): void {
    const { members, random, network } = this.#world;
    const open = members.filter((member) => this.#reaches(member) && admits(member));
    if (open.length === 0) return this.#pause();
    const member = random.pick(open);
    this.#after(network.delayMs() * 3, () => {
      const { server } = member;
      if (server === null || !admits(member) || !this.#reaches(member)) return this.#pause();
      const session = new Session(server, () => {
        if (this.#session === session) this.#session = null;
      });
      server.sessions.add(session);
      this.#session = session;
      this.#act();
    });
  }

  #write(session: Session): void {
    const world = this.#world;
    const row = world.newRow();
    const { server } = session;
    let settled = false;
    const go = (): void => {
      if (settled) return;
      settled = true;
      this.#pause();
    };
    // No answer: the row's fate is unknown. The client goes on elsewhere and still listens to the old connection.
    this.#after(this.#patienceMs, () => {
      if (settled) return;
      if (this.#session === session) this.#session = null;
      go();
    });
    if (!world.network.passes(world.clientNode, server.node)) return;
    world.scheduler.after(world.network.delayMs(), server.process, () => {
      if (!session.open) return this.#after(1, go);
      session.write(row, (outcome) => {
        if (!world.network.passes(server.node, world.clientNode)) return;
        this.#after(world.network.delayMs(), () => {
          if (outcome === 'committed') this.#acknowledged(session, row);
          go();
        });
      });
    });
  }

  #acknowledged(session: Session, row: Row): void {
    row.acknowledged = true;
    if (row.record !== null) this.#world.note({ kind: 'acknowledged', server: session.server, record: row.record });
  }

  #read(session: Session): void {
    const world = this.#world;
    const { server } = session;
    this.#pause();
    if (!world.network.passes(world.clientNode, server.node)) return;
    world.scheduler.after(world.network.delayMs(), server.process, () => {
      if (!session.open || !server.isWritable) return;
      const upTo = server.visible.length;
      if (!world.network.passes(server.node, world.clientNode)) return;
      this.#after(world.network.delayMs(), () => {
        const rows = server.visible.slice(server.readUpTo, upTo);
        server.readUpTo = Math.max(server.readUpTo, upTo);
        world.note({ kind: 'read', server, rows });
      });
    });
  }
}

function admits(member: VirtualMember): boolean {
  const { server } = member;
  return server?.isWritable === true && server.gateOpen && !server.postmasterStopped;
}
