import { buildHazards, type HazardRow } from '#sql/build-hazards.ts';
import { EFFECT } from '#sql/effects.ts';
import { type Hazards, UNREAD_HAZARDS } from '#sql/hazards.ts';
import { HAZARD_EPOCH_QUERY, SESSION_HAZARDS_QUERY } from '#sql/session-hazards-query.ts';
import { readDataRow } from '#wire/decode-backend.ts';
import { Notifications } from './notifications.ts';
import type { ProxyWorld } from './proxy-world.ts';
import type { ServerConnection } from './server-connection.ts';

/** How often definitions that changed elsewhere are looked for. */
const LOOK_EVERY_MS = 10_000;
/** Definitions come in flocks: after the last known change they are read at most this often. */
const READ_EVERY_MS = 500;
const MAX_CUSTOM = 256;
/** What a name may do that was defined since: anything that a probe finds. What none finds (setseed, LOAD) is known with the next reading. */
const UNREAD_EFFECTS = EFFECT.code | EFFECT.writes;

/** What one database defines that statements may run into, and who listens in it. */
export class DatabaseWatch {
  readonly database: string;
  readonly notifications: Notifications;
  #hazards: Hazards = UNREAD_HAZARDS;
  #cautious: Hazards = UNREAD_HAZARDS;
  readonly #custom = new Set<string>();
  /** Grows with every change of the catalog that was noticed. */
  generation = 0;
  #known = false;
  #stale = true;
  /** Something was defined since the reading began that is under way. */
  #changed = false;
  #epoch: string | null = null;
  #readAt = Number.NEGATIVE_INFINITY;
  #reading = false;

  constructor(world: ProxyWorld, database: string) {
    this.database = database;
    this.notifications = new Notifications({
      openListener: (onNotification, onClosed) => world.openListener(database, onNotification, onClosed),
      onReady: () => world.wake(database),
    });
  }

  /** What is known may be wrong after a definition: until it has been read, any name may stand for anything. */
  get hazards(): Hazards {
    return this.#stale ? this.#cautious : this.#hazards;
  }

  /** Settings that no view lists, as far as anybody has named them; `named` just now. */
  settingsBeside(named: Iterable<string>): readonly string[] {
    for (const name of named) if (name.includes('.') && this.#custom.size < MAX_CUSTOM) this.#custom.add(name);
    return [...new Set([...this.#hazards.settings, ...this.#custom])];
  }

  get isStale(): boolean {
    return this.#stale;
  }

  isDue(now: number): boolean {
    return !this.#reading && now - this.#readAt > (this.#stale ? READ_EVERY_MS : LOOK_EVERY_MS);
  }

  /** A transaction that went through here defined something. */
  changed(): void {
    this.#stale = true;
    this.#changed = true;
    this.generation += 1;
  }

  /** Reads what is defined, when it has changed. `done` also when it failed: then the next one reads it. */
  learn(server: ServerConnection, done: () => void): void {
    if (this.#known && !this.isDue(performance.now())) return done();
    this.#reading = true;
    this.#readAt = performance.now();
    this.#changed = false;
    let epoch: string | null = null;
    server.ask(HAZARD_EPOCH_QUERY, {
      onRow: (message) => {
        epoch = JSON.stringify(readDataRow(message));
      },
      onDone: (error) => {
        if (error === null && this.#known && epoch === this.#epoch) return this.#finish(done, false);
        this.#read(server, epoch, done);
      },
    });
  }

  #read(server: ServerConnection, epoch: string | null, done: () => void): void {
    const rows: HazardRow[] = [];
    server.ask(SESSION_HAZARDS_QUERY, {
      onRow: (message) => {
        const [kind, name, used = null, language = null, extension = null, body = null] = readDataRow(message) ?? [];
        if (kind != null && name != null) rows.push({ kind, name, used, language, extension, body });
      },
      onDone: (error) => {
        if (error !== null) return this.#finish(done, true);
        this.#hazards = buildHazards(rows);
        this.#cautious = { ...this.#hazards, otherNames: this.#hazards.otherNames | UNREAD_EFFECTS };
        if (this.#known && epoch !== this.#epoch) this.generation += 1;
        this.#epoch = epoch;
        this.#known = true;
        this.#finish(done, false);
      },
    });
  }

  #finish(done: () => void, failed: boolean): void {
    this.#reading = false;
    this.#stale = failed || this.#changed;
    done();
  }

  /** A connection that was reading is gone. */
  serverClosed(server: ServerConnection): void {
    if (this.#reading && server.expected.some((group) => group.question !== null)) {
      this.#reading = false;
      this.#stale = true;
    }
  }

  close(): void {
    this.notifications.close();
  }
}
