import type { Client } from 'pg';
import type { CanarySettings } from './canary-protocol.ts';

/** After a connection that hung: each one may leave a backend behind that hangs as well. */
const MAX_PAUSE_ROUNDS = 60;

let library: Promise<typeof import('pg')> | undefined;

/** Loaded only on a primary, since it is a third of the canary's memory; and where it can still be read. */
export function loadClient(): Promise<typeof import('pg')> {
  library ??= import('pg');
  return library;
}

/** On a primary a tiny transaction over a connection that stays, flushed here and waiting for no standby. */
export class WriteProbe {
  readonly #settings: CanarySettings;
  #isPrimary = false;
  #client: Client | undefined;
  #pause = 0;
  #failures = 0;
  #isDiskFull = false;

  constructor(settings: CanarySettings) {
    this.#settings = settings;
  }

  /** By the last answer that told. */
  get isDiskFull(): boolean {
    return this.#isDiskFull;
  }

  setPrimary(isPrimary: boolean): void {
    this.#isPrimary = isPrimary;
    this.#pause = 0;
    if (isPrimary) return;
    this.#isDiskFull = false;
    this.#drop();
  }

  /** Resolves when the server has answered, with success or with an error, and when there is nothing to ask. */
  async attempt(): Promise<void> {
    if (!this.#isPrimary) return;
    if (this.#pause > 0) {
      this.#pause -= 1;
      return;
    }
    try {
      this.#client ??= await this.#connect();
      await this.#client.query("SELECT pg_catalog.pg_logical_emit_message(true, 'matriarch', '')");
      this.#failures = 0;
      this.#isDiskFull = false;
    } catch (error) {
      this.#isDiskFull = (error as { code?: string }).code === '53100';
      this.#drop();
      // The server refuses us, say: it lives, and asking every second would only fill its log.
      this.#failures = Math.min(MAX_PAUSE_ROUNDS, this.#failures * 2 + 1);
      this.#pause = this.#failures;
    }
  }

  async #connect(): Promise<Client> {
    const { default: pg } = await loadClient();
    const { socketDirectory, port, login } = this.#settings;
    const client = new pg.Client({
      host: socketDirectory,
      port,
      ...login,
      application_name: 'matriarch canary',
      options: '-c synchronous_commit=local -c idle_in_transaction_session_timeout=10s',
    });
    client.on('error', () => this.#drop());
    await client.connect();
    return client;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.end().catch(() => {});
  }
}
