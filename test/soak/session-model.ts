/** What one client must see of its own session, as PostgreSQL's manual has it. */
export class SessionModel {
  /** Its rows in the common table: number to note. */
  rows = new Map<number, string>();
  /** Rows of a transaction whose COMMIT was not answered: there, all of them, or none of them. */
  unsure: ReadonlyMap<number, string> | null = null;
  nextRow = 1;
  /** Settings as SHOW says them now; without a transaction, the same as `lasting`. */
  shown = new Map<string, string>();
  lasting = new Map<string, string>();
  /** Prepared statements: name to what they return. */
  prepared = new Map<string, string>();
  /** Rows of its temporary table; null: there is none. */
  temporary: number | null = null;
  locks = new Set<number>();
  listens = false;
  #base: Saved | null = null;
  #savepoints: Saved[] = [];

  get inTransaction(): boolean {
    return this.#base !== null;
  }

  get savepoints(): number {
    return this.#savepoints.length;
  }

  /** A new connection: only the rows stay. */
  reconnect(defaults: ReadonlyMap<string, string>): void {
    if (this.#base !== null) this.rollback();
    this.forgetSession(defaults);
  }

  /** DISCARD ALL. */
  forgetSession(defaults: ReadonlyMap<string, string>): void {
    this.shown = new Map(defaults);
    this.lasting = new Map(defaults);
    this.prepared.clear();
    this.temporary = null;
    this.locks.clear();
    this.listens = false;
  }

  set(name: string, value: string, local = false): void {
    this.shown.set(name, value);
    if (!local) this.lasting.set(name, value);
  }

  begin(): void {
    this.#base = this.#save();
    this.#savepoints = [];
  }

  savepoint(): void {
    this.#savepoints.push(this.#save());
  }

  /** To the newest one, which stays. */
  rollbackToSavepoint(): void {
    const saved = this.#savepoints.at(-1);
    if (saved !== undefined) this.#restore(saved);
  }

  releaseSavepoint(): void {
    this.#savepoints.pop();
  }

  commit(): void {
    this.#base = null;
    this.#savepoints = [];
    this.shown = new Map(this.lasting);
  }

  rollback(): void {
    if (this.#base !== null) this.#restore(this.#base);
    this.#base = null;
    this.#savepoints = [];
  }

  /** COMMIT was sent and its answer is lost. */
  commitUnknown(): void {
    const after = this.rows;
    this.rollback();
    this.unsure = after;
  }

  #save(): Saved {
    const { rows, shown, lasting, temporary, listens } = this;
    return { rows: new Map(rows), shown: new Map(shown), lasting: new Map(lasting), temporary, listens };
  }

  #restore({ rows, shown, lasting, temporary, listens }: Saved): void {
    this.rows = new Map(rows);
    this.shown = new Map(shown);
    this.lasting = new Map(lasting);
    this.temporary = temporary;
    this.listens = listens;
  }
}

interface Saved {
  readonly rows: Map<number, string>;
  readonly shown: Map<string, string>;
  readonly lasting: Map<string, string>;
  readonly temporary: number | null;
  readonly listens: boolean;
}
