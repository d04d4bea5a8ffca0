import type { ClientSession } from './client-session.ts';
import { GROUP, Group } from './group.ts';
import type { Statement } from './prepared-on-server.ts';
import type { ServerConnection } from './server-connection.ts';
import type { Unnamed } from './unnamed-statement.ts';

/** A read of one client on a connection that others read on as well. */
export class SharedRead extends Group {
  /** Null: its client has left, or gets its answer from elsewhere. */
  session: ClientSession | null;
  readonly shape: number;
  /** In microseconds; `Infinity`: nothing is known. */
  readonly expectedUs: number;
  readonly sentAt: number;
  readonly #server: ServerConnection;
  /** Prepared ahead of it, unnoticed by its client. */
  readonly #ensured: Statement | null;
  /** Prepared in it. */
  readonly #unnamed: Unnamed | null;
  #isParsed = false;

  constructor(
    session: ClientSession,
    server: ServerConnection,
    cost: { readonly shape: number; readonly expectedUs: number },
    sentAt: number,
    prepares: Statement | Unnamed | null,
  ) {
    super(GROUP.reads, true, null);
    this.session = session;
    this.shape = cost.shape;
    this.expectedUs = cost.expectedUs;
    this.sentAt = sentAt;
    this.#server = server;
    this.#ensured = prepares !== null && 'id' in prepares ? prepares : null;
    this.#unnamed = prepares !== null && !('id' in prepares) ? prepares : null;
  }

  /** What the server answers to it is nobody's. */
  drop(): void {
    this.session = null;
    this.isMuted = true;
    this.isDropped = true;
  }

  override confirmParse(): boolean {
    this.#isParsed = true;
    if (this.#ensured === null) return true;
    this.#ensured.accepted = true;
    return false;
  }

  /** Of what made room for a statement: a read closes nothing itself. */
  override confirmClose(): boolean {
    return false;
  }

  override undoUnconfirmed(): void {
    if (this.#isParsed) return;
    if (this.#ensured !== null) this.#server.prepared.delete(this.#ensured);
    if (this.#unnamed === null) return;
    if (this.#server.unnamed === this.#unnamed) this.#server.unnamed = null;
    if (this.session?.preparing.unnamed === this.#unnamed) this.session.preparing.unnamed = null;
  }
}
