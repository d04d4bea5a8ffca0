import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';

/** `auto`: each row a statement of its own; `block`: BEGIN, two statements, COMMIT; `read`: only reads; `batch`: two rows in one text. */
export type Habit = 'auto' | 'block' | 'batch' | 'read' | 'readPrepared';

const TABLE = 'crowd';

/** One application that keeps its connection whatever happens, and remembers what it was told of each row. */
export class CrowdMember {
  readonly name: string;
  readonly habit: Habit;
  /** Rows whose transaction was answered without an error. */
  readonly acknowledged: number[] = [];
  /** Rows whose transaction was answered with an error of class 40: it must not have happened. */
  readonly rolledBack: number[] = [];
  /** 08007. */
  readonly unknown: number[] = [];
  /** `code message` of every error. */
  readonly errors: string[] = [];
  /** What ended its connection, if anything did. */
  disconnected: string | undefined;
  longestGapMs = 0;
  answered = 0;
  readonly #client: Client;
  #number = 0;
  #answeredAt = 0;
  #stop = false;
  #running: Promise<void> | undefined;

  constructor(client: Client, name: string, habit: Habit) {
    this.#client = client;
    this.name = name;
    this.habit = habit;
    client.on('error', (error) => {
      this.disconnected = `${(error as { code?: string }).code} ${error.message}`;
    });
    client.on('end', () => {
      this.disconnected ??= 'closed';
    });
  }

  start(): void {
    this.#answeredAt = performance.now();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop = true;
    await this.#running;
  }

  /** From now on. */
  forgetGaps(): void {
    this.longestGapMs = 0;
    this.#answeredAt = performance.now();
  }

  async #run(): Promise<void> {
    while (!this.#stop && this.disconnected === undefined) {
      const number = this.#number++;
      try {
        await this.#transaction(number);
        this.acknowledged.push(number);
        this.answered += 1;
        this.longestGapMs = Math.max(this.longestGapMs, performance.now() - this.#answeredAt);
        this.#answeredAt = performance.now();
      } catch (error) {
        await this.#failed(number, error as Error & { readonly code?: string });
      }
      await sleep(2);
    }
  }

  async #transaction(number: number): Promise<void> {
    const insert = `insert into ${TABLE} (member, number, part) values ($1, $2, $3)`;
    const values = (part: number) => [this.name, number, part];
    const client = this.#client;
    switch (this.habit) {
      case 'auto':
        await client.query({ name: 'row', text: insert, values: values(0) });
        return;
      case 'batch':
        await client.query(`insert into ${TABLE} values ('${this.name}', ${number}, 0), ('${this.name}', ${number}, 1)`);
        return;
      case 'block':
        await client.query('begin');
        await client.query(insert, values(0));
        await client.query('select count(*) from generate_series(1, 10)');
        await client.query(insert, values(1));
        await client.query('commit');
        return;
      case 'read':
        await (number % 2 === 0 ? client.query('select 1 as one') : client.query('select $1::int as one', [number]));
        return;
      case 'readPrepared':
        await client.query({ name: 'read', text: `select count(*) from ${TABLE} where member = $1`, values: ['nobody'] });
        return;
    }
  }

  async #failed(number: number, error: Error & { readonly code?: string }): Promise<void> {
    this.errors.push(`${error.code} ${error.message}`);
    if (error.code?.startsWith('40') === true) this.rolledBack.push(number);
    else this.unknown.push(number);
    if (this.habit === 'block') await this.#client.query('rollback').catch((more) => this.errors.push(`rollback: ${more}`));
  }
}

/** Applications of every habit, through the proxies that `connect` gives. */
export class SessionCrowd {
  readonly members: readonly CrowdMember[];
  readonly #clients: readonly Client[];

  private constructor(members: readonly CrowdMember[], clients: readonly Client[]) {
    this.members = members;
    this.#clients = clients;
  }

  /**
   * What makes its table, for a connection past every proxy: for a moment after a definition that goes through it, a proxy takes any
   * name for a function that writes, and sends nothing again.
   */
  static tableFor(role: string): string {
    return `create table ${TABLE} (member text, number int, part int); grant all on ${TABLE} to ${role}`;
  }

  static async start(name: string, connect: () => Promise<Client>, habits: readonly Habit[]): Promise<SessionCrowd> {
    const clients = await Promise.all(habits.map(() => connect()));
    const members = clients.map((client, at) => new CrowdMember(client, `${name}${at}`, habits[at] as Habit));
    for (const member of members) member.start();
    const crowd = new SessionCrowd(members, clients);
    await crowd.advance(5);
    return crowd;
  }

  /** Everybody who is still connected gets `count` more answers. */
  async advance(count: number, timeoutMs = 30_000): Promise<void> {
    const goals = this.members.map(({ answered }) => answered + count);
    const deadline = performance.now() + timeoutMs;
    const behind = () => this.members.filter((one, at) => one.answered < (goals[at] ?? 0) && one.disconnected === undefined);
    while (behind().length > 0) {
      if (performance.now() > deadline) {
        const who = behind().map(({ name, habit, errors }) => `${name} ${habit} ${errors.at(-1)}`);
        throw new Error(`waited in vain for answers to ${who.join(', ')}`);
      }
      await sleep(10);
    }
  }

  forgetGaps(): void {
    for (const member of this.members) member.forgetGaps();
  }

  get errors(): readonly string[] {
    return this.members.flatMap(({ name, habit, errors }) => errors.map((text) => `${name} ${habit}: ${text}`));
  }

  /** The longest time that anybody waited for an answer. */
  get longestGapMs(): number {
    return Math.max(...this.members.map(({ longestGapMs }) => longestGapMs));
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.stop()));
  }

  /** After `stop`. What is wrong with what was told to whom: must be empty. */
  async wrongs(): Promise<readonly string[]> {
    const client = this.#clients.find((_, at) => this.members[at]?.disconnected === undefined);
    if (client === undefined) return ['nobody is left'];
    const { rows } = await client.query<{ member: string; number: number; parts: number }>(
      `select member, number, count(*)::int as parts from ${TABLE} group by 1, 2`,
    );
    const found = new Map(rows.map(({ member, number, parts }) => [`${member}/${number}`, parts]));
    const wrongs: string[] = [];
    for (const { name, habit, acknowledged, rolledBack, unknown, disconnected } of this.members) {
      if (disconnected !== undefined) wrongs.push(`${name} (${habit}) was disconnected: ${disconnected}`);
      const parts = (number: number) => found.get(`${name}/${number}`) ?? 0;
      const whole = habit === 'auto' ? 1 : 2;
      if (habit !== 'read' && habit !== 'readPrepared') {
        for (const number of acknowledged)
          if (parts(number) !== whole)
            wrongs.push(`${name} (${habit}): ${number} was acknowledged, ${parts(number)} of ${whole} are there`);
        for (const number of unknown)
          if (parts(number) !== whole && parts(number) !== 0) wrongs.push(`${name} (${habit}): a part of ${number} is there`);
      }
      for (const number of rolledBack)
        if (parts(number) !== 0) wrongs.push(`${name} (${habit}): ${number} was rolled back, and is there`);
    }
    return wrongs;
  }

  async end(): Promise<void> {
    await this.stop();
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})));
  }
}
