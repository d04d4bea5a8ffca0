import type { Socket } from 'node:net';
import type { Train } from '#core/pool/sharing.ts';
import type { ClientSession } from './client-session.ts';
import type { Convoys } from './convoys.ts';
import type { Group } from './group.ts';
import { Outgoing } from './outgoing.ts';
import type { Reported } from './reported.ts';
import { type Borrower, type ServerConnection, toClients } from './server-connection.ts';
import type { SharedRead } from './shared-read.ts';

const SCRATCH_BYTES = 16 * 1024;

/** Reads of several clients on one server connection, answered in the order that they were sent in. It has the connection until all are. */
export class Convoy implements Borrower, Train {
  readonly #home: Convoys;
  /** What is gathered for the server in this turn of the event loop. */
  readonly out = new Outgoing(SCRATCH_BYTES);
  #server: ServerConnection | null = null;
  isClosed = false;
  isGathering = false;
  expectedUs = 0;
  since = 0;
  /** Since when the server is at its head. */
  #headSince = 0;
  #headBytes = 0;

  constructor(home: Convoys) {
    this.#home = home;
  }

  get stream(): ServerConnection {
    if (this.#server === null) throw new Error('a convoy without a connection');
    return this.#server;
  }

  get depth(): number {
    return this.stream.expected.length;
  }

  get #head(): SharedRead | undefined {
    return this.stream.expected[0] as SharedRead | undefined;
  }

  get socket(): Socket | null {
    return this.#head?.session?.socket ?? null;
  }

  get reported(): Reported {
    return this.stream.reported;
  }

  set reported(reported: Reported) {
    const session = this.#head?.session ?? null;
    if (session !== null) session.reported = reported;
  }

  begin(server: ServerConnection, now: number): void {
    this.#server = server;
    this.isClosed = false;
    this.isGathering = false;
    this.expectedUs = 0;
    this.out.open(server.socket);
    this.since = now;
    this.#headSince = now;
    this.#headBytes = server.bytesIn;
    server.borrower = this;
    server.lastBorrower = this;
  }

  /** The read is on its way; its bytes have been put into `out`. */
  add(read: SharedRead): void {
    const { expected } = this.stream;
    expected.push(read);
    if (read.expectedUs < Number.POSITIVE_INFINITY) this.expectedUs += read.expectedUs;
    else this.isClosed = true;
    if (expected.length === 1) this.#headSince = read.sentAt;
  }

  flush(): void {
    this.isGathering = false;
    if (this.#server !== null && !this.#server.closed) this.out.flush();
    else this.out.drop();
  }

  /** Its answer is being passed on. */
  isMidMessageOf(session: ClientSession): boolean {
    return this.#head?.session === session && this.stream.isMidMessage;
  }

  onReady(group: Group): void {
    const read = group as SharedRead;
    const server = this.stream;
    const now = performance.now();
    const { session } = read;
    this.#home.costs.observe(read.shape, (now - this.#headSince) * 1000, server.bytesIn - this.#headBytes);
    this.#headSince = now;
    this.#headBytes = server.bytesIn;
    if (read.expectedUs < Number.POSITIVE_INFINITY) this.expectedUs -= read.expectedUs;
    session?.reads.answered(now);
    // What the session has sent meanwhile may have joined, or the connection may be gone.
    if (this.#server !== server || server.closed) return;
    const next = this.#head;
    if (next === undefined) return this.#end(server);
    this.#turnTo(next);
  }

  /** The server is at it now. */
  #turnTo(read: SharedRead): void {
    const { session } = read;
    if (session === null) return;
    session.reads.stopWaiting();
    toClients.open(session.socket);
    const { reported } = this.stream;
    if (session.reported === reported) return;
    for (const message of reported.since(session.reported)) toClients.add(message);
    session.reported = reported;
  }

  #end(server: ServerConnection): void {
    this.#server = null;
    server.borrower = null;
    this.#home.ended(this, server);
  }

  /** A client that does not read holds up nobody: whoever is behind it goes elsewhere. */
  onBehind(): void {
    this.scatter();
  }

  /** Everybody behind the head is sent elsewhere, and nobody joins any more. */
  scatter(): void {
    this.isClosed = true;
    for (const group of this.stream.expected.slice(1)) {
      const read = group as SharedRead;
      const { session } = read;
      if (session === null) continue;
      read.drop();
      session.reads.sendElsewhere();
    }
  }

  /** Those that have waited for longer than `ms` behind others look for a connection of their own meanwhile. */
  hedge(now: number, ms: number): void {
    const { expected } = this.stream;
    for (let at = 1; at < expected.length; at++) {
      const read = expected[at] as SharedRead;
      if (now - read.sentAt < ms) break;
      this.isClosed = true;
      read.session?.reads.hedge();
    }
  }

  /** The client has left, or has its answer from elsewhere. Where nobody is left to wait, the server need not go on. */
  leave(session: ClientSession): void {
    const server = this.stream;
    let isForsaken = true;
    for (const group of server.expected) {
      const read = group as SharedRead;
      if (read.session === session) read.drop();
      else if (read.session !== null) isForsaken = false;
    }
    if (isForsaken && session.closed) this.#home.abandon(server);
  }

  /** Whoever the server is not at yet is told at once; else the others are moved out of the way of the request. */
  async cancel(session: ClientSession): Promise<void> {
    this.isClosed = true;
    if (this.#head?.session === session) {
      this.flush();
      this.scatter();
      return this.#home.cancel(this.stream);
    }
    session.reads.cancelled();
  }

  /** The connection is gone: each read has its own verdict. */
  lost(server: ServerConnection, why: string): void {
    const { isMidMessage } = server;
    const reads = server.expected as SharedRead[];
    this.#server = null;
    server.borrower = null;
    this.out.drop();
    this.#home.lost(this);
    for (const [at, read] of [...reads].entries()) read.session?.reads.lost(server, read, why, at === 0 && isMidMessage);
  }

  /** A read leaves nothing to confirm. */
  mustConfirm(): boolean {
    return false;
  }

  onQuiet(): void {}

  onDeallocated(): void {}

  onError(code: string, fields: ReadonlyMap<string, string> | undefined): void {
    const session = this.#head?.session ?? null;
    if (session === null) return;
    this.stream.prepared.nameBy(session.preparing.clientName);
    session.onError(code, fields);
    // Somebody's code has deallocated what was prepared for everybody.
    if (code !== '26000') return;
    this.isClosed = true;
    this.stream.retired = true;
  }

  onNotification(): void {}
}
