import type { SyncSetting } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { DataDirectory } from '../data-directory.ts';
import type { VirtualMember } from '../member.ts';
import type { Node } from '../network.ts';
import { Process } from '../process.ts';
import type { Task } from '../scheduler.ts';
import type { Volume } from '../volume.ts';
import { append, appendPromotion, type Row, type WalRecord } from '../wal.ts';
import type { World } from '../world.ts';
import { connect } from './connect.ts';
import type { CommitOutcome, Session } from './session.ts';
import { SyncRep } from './sync-rep.ts';
import type { ReplicationConnection } from './walsender.ts';

const RECONNECT_MS = 200;

/** One life of a PostgreSQL server, from its start to the end of its last process. */
export class VirtualServer {
  readonly world: World;
  readonly member: VirtualMember;
  readonly directory: DataDirectory;
  readonly process: Process;
  role: 'standby' | 'primary';
  /** False while it recovers: no queries yet. */
  up = false;
  /** SIGSTOP of the postmaster alone: what is connected goes on, nothing new can connect. */
  postmasterStopped = false;
  gateOpen = false;
  /** False while a person's setting may be in force: what it lets go is outside of H2. */
  vouched = true;
  /** How often a person has changed it. */
  foreignChanges = 0;
  /** Replay is paused, delayed or in conflict: WAL is received all the same. */
  replayStalled = false;
  /** Records replayed, on a standby. */
  replayed: number;
  /** Records received since the start: `pg_last_wal_receive_lsn()` is NULL before the first. */
  receivedSinceStart = false;
  walreceiver: ReplicationConnection | null = null;
  /** Standing on the upstream's doorstep: a process exists, the view shows no row. */
  connecting = false;
  /** A candidate gets WAL from a member of V, which has no slot for it. */
  fetching = false;
  readonly connections = new Set<ReplicationConnection>();
  readonly sessions = new Set<Session>();
  readonly syncRep: SyncRep;
  /** What the postmaster has read; a new walsender begins with it. */
  postmasterView: SyncSetting;
  /** Rows that a new snapshot sees, in the order in which they became visible. */
  readonly visible: Row[] = [];
  /** How many of `visible` some client has already read. */
  readUpTo = 0;
  checkpointed = false;
  #connectScheduled = false;
  #replaying = false;
  #promoting = false;

  constructor(world: World, member: VirtualMember, directory: DataDirectory) {
    this.world = world;
    this.member = member;
    this.directory = directory;
    this.process = new Process(`${member.name}'s server`);
    this.role = directory.standbySignal ? 'standby' : 'primary';
    this.replayed = Math.min(directory.redo, directory.flushed);
    this.syncRep = new SyncRep(directory.setting);
    this.postmasterView = directory.setting;
  }

  get node(): Node {
    return this.member.node;
  }

  get volume(): Volume {
    return this.member.volume;
  }

  get flushedEnd(): number {
    return this.directory.log[this.directory.flushed - 1]?.end ?? 0;
  }

  get replayedEnd(): number {
    return this.directory.log[this.replayed - 1]?.end ?? 0;
  }

  get runs(): boolean {
    return this.process.alive;
  }

  /** Answers queries over connections that exist. */
  get answers(): boolean {
    return this.process.runs && this.up;
  }

  get isWritable(): boolean {
    return this.answers && this.role === 'primary';
  }

  /** From the first process to the first query: crash recovery, or a standby that has become consistent. */
  *start(): Task<void> {
    const { random, options } = this.world;
    const ms = random.between(5, 60) + this.directory.redoBytes / options.replayBytesPerMs;
    yield this.role === 'primary' ? ms : ms / 2;
    while (this.volume.hung) yield 20;
    if (this.volume.full) return this.end('crash');
    if (this.role === 'standby') return this.#open();
    const record = append(this.directory.log, 'checkpoint', 110, null);
    this.flush(record, () => {
      this.directory.redo = record.index;
      this.checkpointed = true;
      this.#open();
    });
  }

  #open(): void {
    this.up = true;
    if (this.role === 'primary') {
      // Crash recovery is over: what the log holds is visible, acknowledged or not.
      this.replayed = this.directory.log.length;
      this.#showAll();
      this.world.note({ kind: 'primaryOpened', server: this });
    } else this.scheduleReplay();
    this.scheduleConnect();
  }

  #showAll(): void {
    this.visible.length = 0;
    this.readUpTo = 0;
    for (const record of this.directory.log) if (record.row !== null) this.visible.push(record.row);
  }

  /** pg_promote: ends the walreceiver, replays everything there is, and goes on on a new timeline. */
  *promote(timeline: number): Task<void> {
    this.gateOpen = false;
    this.replayStalled = false;
    this.#promoting = true;
    this.walreceiver?.endReceiver();
    this.directory.flushed = this.directory.log.length;
    while (this.replayed < this.directory.flushed || this.volume.hung) {
      this.scheduleReplay();
      yield 3;
    }
    if (this.volume.full) return this.end('crash');
    appendPromotion(this.directory.log, timeline);
    this.directory.flushed = this.directory.log.length;
    this.directory.standbySignal = false;
    this.directory.redo = this.directory.log.length - 1;
    this.role = 'primary';
    this.replayed = this.directory.log.length;
    this.#showAll();
    this.world.note({ kind: 'primaryOpened', server: this });
    for (const connection of [...this.connections]) connection.endSender();
  }

  commit(row: Row, done: (outcome: CommitOutcome) => void): void {
    if (!this.isWritable) return done('failed');
    if (this.volume.full) {
      this.member.log('PANIC: could not write to file: No space left on device');
      return this.end('crash');
    }
    const { random } = this.world;
    if (random.chance(0.3)) append(this.directory.log, 'noise', 40 + random.below(200), null);
    const record = append(this.directory.log, 'row', 40 + random.below(400), row);
    this.world.note({ kind: 'written', server: this, record });
    this.flush(record, () =>
      this.syncRep.wait(record, (released) => {
        if (!this.process.alive) return;
        this.visible.push(row);
        if (released && this.vouched) this.world.note({ kind: 'released', server: this, record });
        else row.excused = true;
        done(released && this.vouched ? 'committed' : 'cancelled');
      }),
    );
  }

  /** XLogFlush up to `record`. */
  flush(record: WalRecord, done: () => void): void {
    this.volume.sync(this.process, () => {
      if (record.index >= this.directory.flushed) {
        this.directory.flushed = record.index + 1;
        for (const connection of this.connections) connection.wake();
      }
      done();
    });
  }

  /** A transaction of the agent's own, through the local door: is SyncRep in force? */
  probe(done: (released: boolean) => void): WalRecord {
    const record = append(this.directory.log, 'noise', 60, null);
    this.flush(record, () => this.syncRep.wait(record, done));
    return record;
  }

  confirmed(connection: ReplicationConnection): void {
    const { slots } = this.directory;
    if (slots.has(connection.name)) slots.set(connection.name, connection.confirmedCount);
    if (this.role === 'primary') this.syncRep.confirmed(connection, this.connections);
  }

  /** SIGHUP: the postmaster reads the files and passes the signal on; every process reloads when it gets round to it. */
  reload(): void {
    const { scheduler } = this.world;
    scheduler.after(this.world.random.between(0.1, 4), this.process, () => {
      this.postmasterView = this.directory.setting;
      scheduler.after(this.#reloadMs(), this.process, () => this.syncRep.setDefined(this.directory.setting.k > 0));
      for (const connection of this.connections)
        scheduler.after(this.#reloadMs(), this.process, () => {
          connection.view = this.directory.setting;
        });
      if (this.role === 'standby') scheduler.after(this.#reloadMs(), this.process, () => this.#upstreamChanged());
    });
  }

  #reloadMs(): number {
    const { random, options } = this.world;
    return random.chance(options.lateReloadChance) ? random.between(50, options.lateReloadMs) : random.between(0.2, 10);
  }

  /** The startup process sees another `primary_conninfo`: it ends the walreceiver, unless replay stands still. */
  #upstreamChanged(): void {
    const { walreceiver, directory } = this;
    if (walreceiver !== null && walreceiver.upstream.member.name !== directory.upstream?.member && !this.replayStalled)
      walreceiver.endReceiver();
    this.scheduleConnect();
  }

  scheduleConnect(): void {
    if (this.#connectScheduled || !this.up || this.role !== 'standby' || this.#promoting) return;
    this.#connectScheduled = true;
    this.world.scheduler.after(this.world.random.between(1, RECONNECT_MS), this.process, () => {
      this.#connectScheduled = false;
      this.#tryConnect();
    });
  }

  #tryConnect(): void {
    const { directory } = this;
    if (this.role !== 'standby' || this.#promoting || this.walreceiver !== null || this.connecting) return;
    if (directory.upstream === null || !directory.passwordValid) return;
    this.connecting = true;
    connect(this, directory.upstream, (connection) => {
      this.connecting = false;
      if (connection === null) return this.scheduleConnect();
      this.walreceiver = connection;
      this.receivedSinceStart = true;
      const wanted = this.directory.upstream?.member;
      if (this.#promoting || (wanted !== undefined && wanted !== connection.upstream.member.name))
        return connection.endReceiver();
      this.#watchReceiver(connection);
    });
  }

  #watchReceiver(connection: ReplicationConnection): void {
    const { scheduler, options } = this.world;
    if (!connection.receiverAlive) return;
    if (scheduler.now - connection.heardAt > options.walTimeoutMs) return connection.endReceiver();
    scheduler.after(options.walTimeoutMs / 4, this.process, () => this.#watchReceiver(connection));
  }

  scheduleReplay(): void {
    if (this.#replaying || this.replayStalled || this.role !== 'standby') return;
    if (this.replayed >= this.directory.flushed) return;
    this.#replaying = true;
    const { scheduler, random } = this.world;
    scheduler.after(random.between(0.2, 4), this.process, () => {
      this.#replaying = false;
      if (this.role !== 'standby' || this.replayStalled) return;
      const behind = this.directory.flushed - this.replayed;
      this.replayed += Math.ceil(Math.min(behind, Math.max(16, behind / 4)));
      this.scheduleReplay();
    });
  }

  slot(name: Incarnation): boolean {
    return this.directory.slots.has(name);
  }

  checkpoint(): void {
    if (this.role !== 'primary' || this.volume.full) return;
    const record = append(this.directory.log, 'checkpoint', 110, null);
    this.flush(record, () => {
      this.directory.redo = record.index;
      this.checkpointed = true;
      this.#recycle();
    });
  }

  /** Old WAL is removed up to what the slots still need, and a little more is kept. */
  #recycle(): void {
    let needed = this.directory.redo;
    for (const from of this.directory.slots.values()) needed = Math.min(needed, from);
    this.directory.oldest = Math.max(this.directory.oldest, needed - this.world.options.walKept);
  }

  /** All processes end. `crash`: without warning; `power`: the network does not even say so; `stop`: after the shutdown checkpoint. */
  end(how: 'crash' | 'power' | 'stop'): void {
    if (!this.process.alive) return;
    if (how === 'stop') this.directory.clean = true;
    else this.directory.crash(this.world.random);
    this.process.kill();
    this.gateOpen = false;
    for (const connection of [...this.connections]) connection.cut('sender', how !== 'power');
    this.walreceiver?.cut('receiver', how !== 'power');
    for (const session of [...this.sessions]) session.close();
    this.world.note({ kind: 'serverEnded', server: this });
    this.member.serverEnded(this);
  }
}
