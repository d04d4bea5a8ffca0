import { PIN } from '#core/pool/pins.ts';
import { EFFECT } from '#sql/effects.ts';
import { commandComplete, errorResponse, readyForQuery } from '#wire/encode-backend.ts';
import { FRONTEND } from '#wire/message-types.ts';
import type { ClientSession } from './client-session.ts';
import { GROUP, type Group } from './group.ts';
import { type Refusal, type RefusalKind, refusal } from './refusals.ts';
import { type ServerConnection, toClients } from './server-connection.ts';
import { TRANSACTION } from './transaction-status.ts';

const LOST_SAVEPOINT = 'matriarch_lost';
const ROLLBACK = /^\s*(rollback|abort)\s*(work|transaction)?\s*;?\s*\0?$/i;
const COMMIT = /^\s*(commit|end)\b/i;

/** What a session still has to say, or to do, about a transaction that went with its server. */
export class SessionLoss {
  readonly #session: ClientSession;
  /** The client has yet to hear of it. */
  #owed: Refusal | null = null;
  /** The client knows, has not ended the transaction, and no server is in it with him yet. */
  #told = false;
  /** When the server of a read was lost that has been sent again and not been answered; 0: there is none. */
  #lostAt = 0;

  constructor(session: ClientSession) {
    this.#session = session;
  }

  get isOpen(): boolean {
    return this.#told || this.#owed !== null;
  }

  get isTold(): boolean {
    return this.#told;
  }

  /** What it has sent once more is not answered yet. */
  get isRepeating(): boolean {
    return this.#lostAt !== 0;
  }

  answered(): void {
    this.#lostAt = 0;
  }

  /** Of a read among those of others. */
  ofRead(server: ServerConnection, group: Group, why: string): void {
    const session = this.#session;
    if (isRepeatable(group) && this.#isLostWithOthers(server) && session.inFlight.isWhole) return this.#repeat([group]);
    this.#tell([group], false, why);
    session.inFlight.clear();
    session.goOn();
  }

  /** The server is gone: nothing is lost between transactions, a read is sent again, the rest gets an error each. */
  of(server: ServerConnection, why: string): void {
    const session = this.#session;
    const inside = this.#told || server.status !== TRANSACTION.idle;
    const unanswered = server.expected.filter((group) => group.question === null);
    const groups = server.confirming === null ? unanswered : [server.confirming, ...unanswered];
    if (groups.length > 0 || inside) {
      const canRepeat = !inside && this.#isLostWithOthers(server) && session.inFlight.isWhole;
      if (canRepeat && groups.every((group) => group !== session.open && isRepeatable(group))) return this.#repeat(groups);
      this.#tell(groups, inside, why);
      // Answered by that: the next loss has nothing of it to send again.
      session.inFlight.clear();
    }
    session.goOn();
  }

  /**
   * All connections to a server that ends are lost, one after the other: a read may meet several of them. On one that was opened since
   * it is the read that may end its server, and must not end them all.
   */
  #isLostWithOthers(server: ServerConnection): boolean {
    return this.#lostAt === 0 || server.endsWithOthers || server.openedAt < this.#lostAt;
  }

  #repeat(groups: readonly Group[]): void {
    const session = this.#session;
    if (this.#lostAt === 0) this.#lostAt = performance.now();
    for (const group of groups) group.undoUnconfirmed();
    session.home.stats.retriedReads += 1;
    session.traces.clear();
    session.waitingSince = 0;
    session.messages.repeat(session.inFlight.take());
  }

  /** Each group that was sent and not answered gets its error; one that is still being sent, its ReadyForQuery with its Sync. */
  #tell(groups: readonly Group[], wasInside: boolean, why: string): void {
    const session = this.#session;
    const { stats } = session.home;
    const known = this.#told;
    let inside = wasInside;
    if (groups.length === 0) {
      if (known) return;
      this.#owed = refusal('transactionLost', why);
      stats.lostTransactions += 1;
      return;
    }
    toClients.open(session.socket);
    for (const group of groups) {
      group.undoUnconfirmed();
      const kind = known && inside ? 'transactionLost' : kindOf(group, inside);
      if (kind === 'transactionLost') stats.lostTransactions += 1;
      if (kind === 'outcomeUnknown') stats.unknownOutcomes += 1;
      if (group.failed === null) toClients.add(errorResponse({ severity: 'ERROR', ...refusal(kind, why) }));
      inside = (inside || (group.flags & GROUP.begins) !== 0) && (group.flags & GROUP.ends) === 0;
      this.#told = inside;
      if (group.synced) toClients.add(readyForQuery(session.status));
      else session.skipping = true;
    }
    session.open = null;
    toClients.flush();
  }

  /** The first message since: true when it is answered by this. */
  settle(type: number, bytes: Buffer, from: number, to: number): boolean {
    const owed = this.#owed;
    if (owed === null) return false;
    this.#owed = null;
    const session = this.#session;
    const text = type === FRONTEND.query ? bytes.toString('latin1', from + 5, Math.min(to, from + 64)) : '';
    if (ROLLBACK.test(text)) {
      toClients.open(session.socket);
      toClients.add(commandComplete('ROLLBACK'));
      toClients.add(readyForQuery('I'));
      toClients.flush();
      return true;
    }
    this.#told = !COMMIT.test(text);
    session.tell(owed, type);
    return true;
  }

  /** On another server the session is where PostgreSQL would have it: inside a transaction that has failed. */
  carryOver(server: ServerConnection): void {
    if (!this.#told) return;
    server.ask('BEGIN', { onDone: () => {} });
    server.ask(`ROLLBACK TO SAVEPOINT ${LOST_SAVEPOINT}`, {
      onDone: () => {
        if (this.#session.server === server) this.#told = false;
      },
    });
  }
}

function isRepeatable(group: Group): boolean {
  return !group.touched && (group.flags & GROUP.reads) !== 0 && (group.flags & (GROUP.ends | GROUP.begins)) === 0;
}

/** Inside a transaction everything is rolled back with it, but for its end; outside only a read is known to have done nothing. */
function kindOf(group: Group, inside: boolean): RefusalKind {
  if (inside) return (group.flags & GROUP.ends) !== 0 ? 'outcomeUnknown' : 'transactionLost';
  if ((group.flags & GROUP.begins) !== 0 && (group.flags & GROUP.ends) === 0) return 'transactionLost';
  return (group.flags & GROUP.reads) !== 0 ? 'readLost' : 'outcomeUnknown';
}

/** What a text says that it leaves in its session; what its functions may leave besides is no reason to end it. */
const STATE = EFFECT.settings | EFFECT.prepared | EFFECT.temporary | EFFECT.locks | EFFECT.cursors | EFFECT.listen;

/**
 * Something is tied to the connection, or what its last transaction left behind was still being read, or its present one has made what
 * would be there behind a rollback.
 */
export function losesState({ pins, probing, probed, listening, traces }: ClientSession, status: number): boolean {
  if ((pins & ~PIN.listening) !== 0 || listening.isAlone) return true;
  return (probing && (probed & STATE) !== 0) || (status !== TRANSACTION.idle && traces.outlasts);
}
