import type { Row } from '../wal.ts';
import type { VirtualServer } from './server.ts';

/** `cancelled`: committed here, and the client is warned (01000) that nobody else may have it. */
export type CommitOutcome = 'committed' | 'cancelled' | 'failed';

/** A client's connection to a primary and the backend behind it. */
export class Session {
  readonly server: VirtualServer;
  open = true;
  /** In a transaction: a drain waits for it. */
  busy = false;
  waitsFor: Row | null = null;
  readonly #onClose: () => void;

  constructor(server: VirtualServer, onClose: () => void) {
    this.server = server;
    this.#onClose = onClose;
  }

  write(row: Row, done: (outcome: CommitOutcome) => void): void {
    this.busy = true;
    this.waitsFor = row;
    this.server.commit(row, (outcome) => {
      this.busy = false;
      this.waitsFor = null;
      if (this.open) done(outcome);
    });
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.server.sessions.delete(this);
    this.#onClose();
  }
}
