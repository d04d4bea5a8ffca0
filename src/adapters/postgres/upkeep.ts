import type { Lsn } from '#domain/lsn.ts';
import type { Look } from './live-query.ts';
import { undoAlterSystem } from './reload.ts';
import type { ServerContext } from './server-context.ts';
import { PROTECTED_PARAMETERS } from './server-settings.ts';
import type { Session } from './session.ts';
import { settingNames } from './settings-file.ts';
import { withoutPageHeader } from './wal-layout.ts';

const TIMEOUT_MS = 900;

/** What a look at the server asks for. */
export class Upkeep {
  readonly #context: ServerContext;
  #unflushed: Lsn | undefined;

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /**
   * H4 waits until standbys confirm the insert position, and they are only sent what is flushed. WAL without a commit, such as what an
   * open transaction of an otherwise idle server wrote, is not flushed by itself up to its end; a commit of our own does it.
   */
  async flush(look: Look, session: Session): Promise<void> {
    const insert = withoutPageHeader(look.insert, this.#context.memory.walSizes);
    const waits = insert > look.flushed && this.#unflushed === insert;
    this.#unflushed = insert > look.flushed ? insert : undefined;
    if (!waits) return;
    await session.query("SELECT pg_logical_emit_message(true, 'matriarch', 'flush')", [], { timeoutMs: TIMEOUT_MS });
  }

  /** On a standby nobody else looks at it: a person's `primary_conninfo` would lead it astray at the next reload. */
  needsUndo(look: Look): boolean {
    return look.inRecovery && settingNames(look.altered).some((name) => PROTECTED_PARAMETERS.has(name));
  }

  async undo(): Promise<void> {
    await undoAlterSystem(this.#context);
    this.#context.postmaster.signal('SIGHUP');
  }
}
