import { readErrorFields } from '#wire/decode-backend.ts';
import { bind, close, describe, execute, parse, query, sync } from '#wire/encode-frontend.ts';
import { BACKEND } from '#wire/message-types.ts';
import { type Heard, readAnswer } from '../soak/answers.ts';
import { ConnectionLost, type RawClient, ServerError } from './raw-client.ts';
import type { Place, SessionStage, Startup } from './session-stage.ts';

/**
 * What several clients do in turn, a line a step: `A: SELECT 1`. A step waits for its answer; lines without a name continue the one above.
 *
 * `A: \connect user=app options='-c a.b=1'`, for what is no plain login; `A: \leave`; `A: \heard 3`, until so many notifications have come in all;
 * `A& SELECT …` is sent, and answered at `A: \await`; `A: \ext SELECT $1 | value`, by the extended protocol, without a name;
 * `A: \parse name SELECT $1`, `A: \run name | value`, `A: \close name`.
 */
export interface SessionScript {
  readonly steps: string;
  /** Server connections of the proxy's pool. */
  readonly servers?: number;
  /** Run by `app` before anybody connects, in a database for this script alone. Without it nothing lasting is to be defined. */
  readonly setup?: string;
}

interface Step {
  readonly client: string;
  readonly waits: boolean;
  readonly text: string;
}

const STEP = /^\s*([A-Z])([:&]) ?(.*)$/;

function stepsOf(script: string): Step[] {
  const steps: Step[] = [];
  for (const line of script.split('\n')) {
    const [, client, mark, text] = STEP.exec(line) ?? [];
    const last = steps.at(-1);
    if (client !== undefined && text !== undefined) steps.push({ client, waits: mark === ':', text });
    else if (line.trim() !== '' && last !== undefined) steps[steps.length - 1] = { ...last, text: `${last.text}\n${line}` };
  }
  return steps;
}

class Actor {
  readonly raw: RawClient;
  readonly heard: Heard[] = [];

  constructor(raw: RawClient) {
    this.raw = raw;
  }

  async answer(): Promise<unknown> {
    const messages = await this.raw.untilReady();
    const { rows, tags, errors, complaint, status, shape } = readAnswer(messages, this.heard);
    const notices = messages.filter(([type]) => type === BACKEND.noticeResponse).map(noticeOf);
    return { rows, tags, errors, complaint, status, shape, notices, parameters: this.parameters() };
  }

  /** The name of the application is given back a moment after it was reset. */
  parameters(left: readonly string[] = ['application_name']): unknown {
    return Object.fromEntries([...this.raw.parameters].filter(([name]) => !left.includes(name)).sort());
  }

  async untilHeard(count: number): Promise<unknown> {
    while (this.heard.length < count) readAnswer([await this.raw.next()], this.heard);
    return this.heard.map(({ channel, payload }) => `${channel}: ${payload}`);
  }
}

function noticeOf(message: Buffer): string {
  const fields = readErrorFields(message);
  return ['S', 'C', 'M', 'D', 'H']
    .map((letter) => fields?.get(letter) ?? '')
    .join(' ')
    .trim();
}

function startupOf(text: string): Startup {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)=(?:'([^']*)'|(\S+))/g)].map(([, name = '', quoted, bare = '']) => [name, quoted ?? bare]),
  );
}

function messagesOf(text: string): Buffer[] {
  const [, verb = '', rest = ''] = /^\\(\w+) ?(.*)$/s.exec(text) ?? [];
  const [first = '', ...values] = rest.split(' | ');
  const name = first.split(' ')[0] ?? '';
  switch (verb) {
    case '':
      return [query(text)];
    case 'ext':
      return [parse('', first), bind('', '', values), describe('P', ''), execute(''), sync()];
    case 'parse':
      return [parse(name, rest.slice(name.length + 1)), describe('S', name), sync()];
    case 'run':
      return [bind('', name, values), execute(''), sync()];
    case 'close':
      return [close('S', name), sync()];
    default:
      throw new Error(`${text}: no such step`);
  }
}

/** What each step was answered. */
async function playScript(stage: SessionStage, place: Place, script: string): Promise<unknown[]> {
  const actors = new Map<string, Actor>();
  const seen: unknown[] = [];
  try {
    for (const step of stepsOf(script)) {
      const answer = (await play(stage, place, actors, step)) as object;
      seen.push({ step: `${step.client}: ${step.text}`, ...answer });
    }
    for (const [client, actor] of actors) {
      if (!actor.raw.open) continue;
      actor.raw.send(query('SELECT'));
      await actor.answer();
      seen.push({
        client,
        parameters: actor.parameters([]),
        heard: actor.heard.map(({ channel, payload }) => `${channel}: ${payload}`),
      });
    }
  } finally {
    for (const { raw } of actors.values()) raw.destroy();
  }
  return seen;
}

async function play(
  stage: SessionStage,
  place: Place,
  actors: Map<string, Actor>,
  { client, waits, text }: Step,
): Promise<unknown> {
  if (text.startsWith('\\connect')) {
    actors.get(client)?.raw.destroy();
    return connect(stage, place, actors, client, startupOf(text));
  }
  if (!actors.has(client)) await connect(stage, place, actors, client, {});
  const actor = actors.get(client) as Actor;
  if (text === '\\leave') {
    await leave(stage, place, actor);
    actors.delete(client);
    return {};
  }
  if (text.startsWith('\\heard')) return { heard: await actor.untilHeard(Number(text.slice(6))) };
  if (text !== '\\await') actor.raw.send(...messagesOf(text));
  try {
    return waits ? await actor.answer() : {};
  } catch (error) {
    if (error instanceof ConnectionLost) return { lost: true };
    throw error;
  }
}

async function connect(
  stage: SessionStage,
  place: Place,
  actors: Map<string, Actor>,
  client: string,
  startup: Startup,
): Promise<unknown> {
  try {
    const actor = new Actor(await stage.connect(place, startup));
    actors.set(client, actor);
    return { parameters: actor.parameters([]) };
  } catch (error) {
    if (error instanceof ServerError) return { refused: error.sqlState };
    throw error;
  }
}

/** Until what it held is free: a server process takes its time to end. */
async function leave(stage: SessionStage, place: Place, { raw }: Actor): Promise<void> {
  const { pid } = raw;
  raw.destroy();
  if (place.proxy !== null) return;
  for (;;) {
    const [row] = await stage.server.sql(`SELECT count(*)::int AS left FROM pg_stat_activity WHERE pid = ${pid}`);
    if (row?.left === 0) return;
  }
}

/** The script directly, each client on its own connection, and through a proxy. */
export async function playBoth(stage: SessionStage, { steps, servers = 1, setup }: SessionScript) {
  const play = async (through: boolean) => {
    const database = setup === undefined ? await stage.common(through) : await stage.database(setup);
    const proxy = through ? await stage.proxy(servers, { waitMs: 5000 }) : null;
    try {
      return await playScript(stage, { port: proxy?.port ?? stage.server.port, database, proxy }, steps);
    } finally {
      await proxy?.stop();
      if (setup !== undefined) await stage.drop(database);
    }
  };
  const direct = await play(false);
  return { direct, through: await play(true) };
}
