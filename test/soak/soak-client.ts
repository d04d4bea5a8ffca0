import type { Random } from '#simulation/random.ts';
import { query, sync } from '#wire/encode-frontend.ts';
import { RawClient, type RawLogin, ServerError } from '../support/raw-client.ts';
import { type Answer, type Heard, readAnswer } from './answers.ts';
import { SessionModel } from './session-model.ts';

/** The client saw what it must not see. */
class Violation extends Error {}

/** The connection, or the transaction, was lost as it may be under faults. */
export class Disturbed extends Error {}

const HISTORY = 30;
const SHOWN_CHARS = 300;
/** What a fault may bring about: the classes of connections, of rolled back transactions and of operators, and too many connections. */
const OF_FAULTS = /^(?:08|40|57P|53300)/;

export interface SoakWorld {
  readonly login: RawLogin;
  /** Nothing is disturbed that is not meant to be: every unexpected error is a violation. */
  readonly calm: boolean;
  readonly counts: Map<string, number>;
  /** Operations that are left out, so that what is behind a known fault can be seen. */
  readonly skip: readonly string[];
}

/** One client with an identity of its own: every value it asks for begins with its tag. */
export class SoakClient {
  readonly tag: string;
  readonly id: number;
  readonly random: Random;
  readonly world: SoakWorld;
  readonly model = new SessionModel();
  readonly heard: Heard[] = [];
  /** What SHOW says at the start of every session. */
  readonly defaults = new Map<string, string>();
  readonly #history: string[] = [];
  #raw: RawClient | undefined;

  constructor(id: number, random: Random, world: SoakWorld) {
    this.id = id;
    this.tag = `c${id}x`;
    this.random = random;
    this.world = world;
  }

  get channel(): string {
    return `channel_${this.tag}`;
  }

  get connected(): boolean {
    return this.#raw?.open === true;
  }

  get raw(): RawClient {
    if (this.#raw === undefined) throw new Disturbed('not connected');
    return this.#raw;
  }

  count(what: string): void {
    this.world.counts.set(what, (this.world.counts.get(what) ?? 0) + 1);
  }

  note(text: string): void {
    this.#history.push(text.length <= SHOWN_CHARS ? text : `${text.slice(0, SHOWN_CHARS)}…`);
    if (this.#history.length > HISTORY) this.#history.shift();
  }

  /** Throws; with what this client did last. */
  violate(what: string): never {
    throw new Violation(`client ${this.tag}: ${what}\n  after:\n${this.#history.map((line) => `    ${line}\n`).join('')}`);
  }

  check(holds: boolean, what: () => string): void {
    if (!holds) this.violate(what());
  }

  async connect(): Promise<void> {
    this.note('connect');
    this.heard.length = 0;
    this.#raw = undefined;
    try {
      this.#raw = await RawClient.connect({ ...this.world.login, parameters: { application_name: this.tag } });
    } catch (error) {
      if (this.world.calm) this.violate(`login: ${(error as Error).message}`);
      if (error instanceof ServerError && !OF_FAULTS.test(error.sqlState)) this.violate(`login: ${error.message}`);
      throw new Disturbed((error as Error).message);
    }
    this.count('sessions');
  }

  disconnect(): void {
    this.note('disconnect');
    this.#raw?.destroy();
    this.#raw = undefined;
  }

  /** Sends and waits for a ReadyForQuery. Errors: `Disturbed`. */
  async ask(what: string, ...messages: readonly Buffer[]): Promise<Answer> {
    this.note(what);
    this.raw.send(...messages);
    return this.answer(what);
  }

  async answer(what: string): Promise<Answer> {
    let messages: Buffer[];
    try {
      messages = await this.raw.untilReady();
    } catch (error) {
      if (this.raw.open) this.violate(`${what}: ${(error as Error).message}`);
      if (this.world.calm) this.violate(`${what}: lost the connection: ${(error as Error).message}`);
      throw new Disturbed((error as Error).message);
    }
    const answer = readAnswer(messages, this.heard);
    this.note(`  ${answer.shape} ${answer.errors.join()} ${answer.tags.join()} ${answer.complaint ?? ''}`);
    this.#checkHeard();
    if (!this.world.calm && answer.errors.some((error) => OF_FAULTS.test(error))) {
      throw new Disturbed(`${answer.errors.join()}: ${answer.complaint}`);
    }
    return answer;
  }

  /** After an answer that was given up: everything that is still to come, and out of any transaction. */
  async drain(): Promise<void> {
    const marker = `drained ${this.random.below(1_000_000_000)}`;
    this.note('ROLLBACK');
    this.raw.send(sync(), query('ROLLBACK'), query(`SELECT '${marker}'`));
    for (;;) {
      const { rows, errors } = await this.answer('drain');
      if (rows[0]?.[0] === marker) return;
      this.check(errors.length === 0 || errors.join() === '25P02', () => `drain: ${errors.join()}`);
    }
  }

  simple(text: string): Promise<Answer> {
    return this.ask(text, query(text));
  }

  /** A statement that must succeed, and end in `status`. */
  async run(text: string): Promise<Answer> {
    const answer = await this.simple(text);
    this.succeeded(text, answer);
    return answer;
  }

  succeeded(what: string, { errors, complaint, status }: Answer): void {
    this.check(errors.length === 0, () => `${what}: ${errors.join()}: ${complaint}`);
    const expected = this.model.inTransaction ? 'T' : 'I';
    this.check(status === expected, () => `${what}: status ${status} in place of ${expected}`);
  }

  /** A statement that must fail so; in a transaction it leaves that broken. */
  async fails(text: string, sqlState: string): Promise<void> {
    const answer = await this.simple(text);
    this.check(answer.errors.join() === sqlState, () => `${text}: ${answer.errors.join()} in place of ${sqlState}`);
  }

  /** One value. */
  async value(text: string): Promise<string | null> {
    const { rows } = await this.run(text);
    this.check(rows.length === 1 && rows[0]?.length === 1, () => `${text}: ${rows.length} rows`);
    return rows[0]?.[0] ?? null;
  }

  async expect(text: string, expected: string): Promise<void> {
    const value = await this.value(text);
    this.check(value === expected, () => `${text}: ${value?.slice(0, SHOWN_CHARS)} in place of ${expected}`);
  }

  /** `count` rows of one column, each as `row` has it. */
  expectRows(what: string, { rows }: Answer, count: number, row: (index: number) => string): void {
    this.check(rows.length === count, () => `${what}: ${rows.length} rows in place of ${count}`);
    for (const [index, [value]] of rows.entries()) {
      this.check(value === row(index), () => `${what}: row ${index} is ${value?.slice(0, SHOWN_CHARS)}`);
    }
  }

  /** One message, outside of a whole answer. Errors: `Disturbed`. */
  async next(what: string): Promise<Buffer> {
    let message: Buffer;
    try {
      message = await this.raw.next();
    } catch (error) {
      if (this.raw.open || this.world.calm) this.violate(`${what}: ${(error as Error).message}`);
      throw new Disturbed((error as Error).message);
    }
    const { errors } = readAnswer([message], this.heard);
    if (!this.world.calm && errors.some((code) => OF_FAULTS.test(code))) throw new Disturbed(errors.join());
    this.#checkHeard();
    return message;
  }

  async untilHeard(payload: string): Promise<void> {
    while (!this.heard.some((one) => one.payload === payload)) await this.next(`waiting to hear ${payload}`);
    this.heard.length = 0;
  }

  /** A write that `apply` makes in the model when it is answered. */
  write(text: string, apply: () => void): Promise<void> {
    return this.writeBy(text, [query(text)], '', apply);
  }

  async writeBy(what: string, messages: readonly Buffer[], sqlState: string, apply: () => void): Promise<void> {
    const { model } = this;
    const before = new Map(model.rows);
    try {
      const { errors, complaint } = await this.ask(what, ...messages);
      this.check(errors.join() === sqlState, () => `${what}: ${errors.join()}: ${complaint}`);
      apply();
    } catch (error) {
      // Without a transaction of its own, nobody can say whether it has committed.
      if (error instanceof Disturbed && !model.inTransaction) {
        apply();
        model.unsure = model.rows;
        model.rows = before;
      }
      throw error;
    }
  }

  /** Its rows of the common table, and no others. */
  checkRows(rows: readonly (readonly (string | null)[])[]): void {
    const { model } = this;
    const seen = describeRows(rows.map(([number, note]) => [Number(number), note ?? '']));
    const unsure = model.unsure === null ? null : describeRows(model.unsure);
    if (model.unsure !== null && seen === unsure) model.rows = new Map(model.unsure);
    model.unsure = null;
    const expected = describeRows(model.rows);
    const orElse = () =>
      unsure === null ? 'nothing was unanswered' : `with what was not answered: ${firstDifference(seen, unsure)}`;
    this.check(seen === expected, () => `rows: ${firstDifference(seen, expected)}; ${orElse()}`);
  }

  #checkHeard(): void {
    for (const { channel, payload } of this.heard) {
      this.check(
        channel === this.channel && payload.startsWith(this.tag),
        () => `heard what is another's: ${channel}: ${payload}`,
      );
    }
  }
}

function describeRows(rows: Iterable<readonly [number, string]>): string {
  return [...rows]
    .toSorted(([a], [b]) => a - b)
    .map(([number, note]) => `${number}=${note}`)
    .join('\n');
}

function firstDifference(seen: string, expected: string): string {
  const [left, right] = [seen, expected].map((text) => text.split('\n'));
  const at = left?.findIndex((row, index) => row !== right?.[index]) ?? 0;
  return `${left?.length} in place of ${right?.length}; "${left?.at(at)}" in place of "${right?.[at < 0 ? (left?.length ?? 0) : at]}"`;
}
