import type { SyncSetting } from '#domain/leader-record.ts';
import type { Incarnation } from '#domain/member.ts';
import type { VirtualServer } from './server.ts';

const KEEPALIVE_MS = 400;
const RETRANSMIT_MS = 60;

/**
 * One replication connection: the walsender on the upstream and the walreceiver on the standby, each of which may be gone without the
 * other one knowing yet. The walsender keeps its own view of `synchronous_standby_names`, as PostgreSQL's do.
 */
export class ReplicationConnection {
  readonly name: Incarnation;
  readonly upstream: VirtualServer;
  readonly standby: VirtualServer;
  readonly startedAt: number;
  senderAlive = true;
  receiverAlive = true;
  /** The walsender's own reading of the setting: it decides by these names and this k, whatever SHOW says. */
  view: SyncSetting;
  /** End LSN that the standby confirmed as flushed over this connection. */
  flushed = 0;
  replayed = 0;
  /** State `streaming` and not `catchup`: only then does PostgreSQL count it. */
  caughtUpOnce = false;
  repliedAt: number;
  heardAt: number;
  /** PostgreSQL cannot tell the two logs apart although they differ: bytes arrive and are confirmed, the log never holds them. */
  readonly blind: boolean;
  #next: number;
  #pumping = false;
  #flushing = false;
  #received: number;
  #flushedUpTo: number;
  #arrival = 0;
  #reply = 0;

  constructor(upstream: VirtualServer, standby: VirtualServer, name: Incarnation, next: number, blind: boolean) {
    this.upstream = upstream;
    this.standby = standby;
    this.name = name;
    this.#next = next;
    this.#received = next;
    this.#flushedUpTo = next;
    this.blind = blind;
    const { now } = upstream.world.scheduler;
    this.startedAt = now;
    this.repliedAt = now;
    this.heardAt = now;
    this.view = upstream.postmasterView;
  }

  /** By this walsender's own reading, is it one of the synchronous standbys? Names are compared without case. */
  get isSynchronous(): boolean {
    return this.view.k > 0 && this.view.sync.includes(this.name);
  }

  get caughtUp(): boolean {
    return this.#next >= this.upstream.directory.flushed;
  }

  begin(): void {
    this.caughtUpOnce = this.caughtUp;
    this.wake();
    this.#reportFlushed();
    this.#keepalive();
  }

  /** There may be more to send. */
  wake(): void {
    if (this.#pumping || !this.senderAlive || this.caughtUp) return;
    this.#pumping = true;
    this.#scheduler.after(0.1, this.upstream.process, () => this.#sendBatch());
  }

  #sendBatch(): void {
    this.#pumping = false;
    if (!this.senderAlive) return;
    const { upstream, standby } = this;
    if (!upstream.world.network.passes(upstream.node, standby.node)) {
      this.#pumping = true;
      this.#scheduler.after(RETRANSMIT_MS, upstream.process, () => this.#sendBatch());
      return;
    }
    const from = this.#next;
    const to = upstream.directory.flushed;
    this.#next = to;
    this.caughtUpOnce = true;
    const records = upstream.directory.log.slice(from, to);
    this.#arrival = Math.max(this.#arrival, this.#scheduler.now + upstream.world.network.delayMs());
    this.#scheduler.at(this.#arrival, standby.process, () => {
      if (!this.receiverAlive) return;
      this.heardAt = this.#scheduler.now;
      if (!this.blind) {
        if (standby.directory.log.length !== from) throw new Error('the walreceiver appends somewhere else than at the end');
        for (const record of records) standby.directory.log.push(record);
      }
      this.#received = to;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    const { standby } = this;
    if (standby.volume.full) return this.endReceiver();
    const upTo = this.#received;
    standby.volume.sync(standby.process, () => {
      this.#flushing = false;
      if (!this.receiverAlive) return;
      this.#flushedUpTo = upTo;
      if (!this.blind && upTo > standby.directory.flushed) {
        standby.directory.flushed = upTo;
        standby.scheduleReplay();
      }
      this.#reportFlushed();
      if (this.#received > upTo) this.#flush();
    });
  }

  /** The standby tells the walsender how far its disk is; the walsender may then let commits go. */
  #reportFlushed(): void {
    if (!this.receiverAlive) return;
    const { upstream, standby } = this;
    if (!upstream.world.network.passes(standby.node, upstream.node)) {
      this.#scheduler.after(RETRANSMIT_MS, standby.process, () => this.#reportFlushed());
      return;
    }
    const flushed = this.blind ? (upstream.directory.log[this.#flushedUpTo - 1]?.end ?? 0) : standby.flushedEnd;
    const replayed = standby.replayedEnd;
    this.#reply = Math.max(this.#reply, this.#scheduler.now + upstream.world.network.delayMs());
    this.#scheduler.at(this.#reply, upstream.process, () => {
      if (!this.senderAlive) return;
      this.repliedAt = this.#scheduler.now;
      this.flushed = Math.max(this.flushed, flushed);
      this.replayed = Math.max(this.replayed, replayed);
      upstream.confirmed(this);
    });
  }

  #keepalive(): void {
    if (!this.senderAlive) return;
    const { upstream, standby } = this;
    const { network } = upstream.world;
    if (this.#scheduler.now - this.repliedAt > upstream.world.options.walTimeoutMs) return this.endSender();
    if (network.passes(upstream.node, standby.node)) {
      this.#arrival = Math.max(this.#arrival, this.#scheduler.now + network.delayMs());
      this.#scheduler.at(this.#arrival, standby.process, () => {
        if (!this.receiverAlive) return;
        this.heardAt = this.#scheduler.now;
        this.#reportFlushed();
      });
    }
    this.wake();
    this.#scheduler.after(KEEPALIVE_MS, upstream.process, () => this.#keepalive());
  }

  /** The walsender is gone; the standby notices when the news can travel, else when it has heard nothing for long. */
  endSender(): void {
    this.cut('sender', true);
  }

  /** The walreceiver is gone; what it had confirmed may still be on its way, and the walsender may still count it. */
  endReceiver(): void {
    this.cut('receiver', true);
  }

  /** One end is gone. `telling` false: its machine lost power, and nobody tells the other end. */
  cut(end: 'sender' | 'receiver', telling: boolean): void {
    const { upstream, standby } = this;
    if (end === 'sender') {
      if (!this.senderAlive) return;
      this.senderAlive = false;
      upstream.connections.delete(this);
    } else {
      if (!this.receiverAlive) return;
      this.receiverAlive = false;
      if (standby.walreceiver === this) standby.walreceiver = null;
      standby.scheduleConnect();
    }
    const [here, there] = end === 'sender' ? [upstream, standby] : [standby, upstream];
    const { network } = upstream.world;
    if (!telling || !network.passes(here.node, there.node)) return;
    const at = this.#scheduler.now + network.delayMs();
    if (end === 'sender') {
      this.#arrival = Math.max(this.#arrival, at);
      this.#scheduler.at(this.#arrival, there.process, () => this.endReceiver());
    } else {
      this.#reply = Math.max(this.#reply, at);
      this.#scheduler.at(this.#reply, there.process, () => this.endSender());
    }
  }

  /** Records that the standby confirmed: the slot keeps WAL from there. */
  get confirmedCount(): number {
    return this.blind ? 0 : Math.min(this.standby.directory.flushed, this.#next);
  }

  get #scheduler() {
    return this.upstream.world.scheduler;
  }
}
