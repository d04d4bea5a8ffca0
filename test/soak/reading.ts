import { setTimeout as sleep } from 'node:timers/promises';
import { bind, close, describe, execute, flush, parse, query, sync } from '#wire/encode-frontend.ts';
import { BACKEND } from '#wire/message-types.ts';
import type { SoakClient } from './soak-client.ts';

/** A text that every row begins with, and that was never asked for before. */
function nonceOf(client: SoakClient): string {
  return `${client.tag}:${client.random.below(1_000_000_000)}`;
}

export async function simpleRows(client: SoakClient): Promise<void> {
  const { random } = client;
  const nonce = nonceOf(client);
  const [count, width] = [random.below(random.chance(0.1) ? 3000 : 20), random.below(200)];
  const text = `SELECT '${nonce}:' || i || repeat('x', ${width}) FROM generate_series(1, ${count}) i`;
  client.expectRows(text, await client.run(text), count, (index) => `${nonce}:${index + 1}${'x'.repeat(width)}`);
}

export async function hugeRow(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  const length = 100_000 + client.random.below(3_000_000);
  await client.expect(`SELECT '${nonce}' || repeat('y', ${length})`, nonce + 'y'.repeat(length));
}

export async function severalStatements(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  const { rows, tags } = await client.run(`SELECT '${nonce}a'; SELECT '${nonce}b' WHERE false; SELECT '${nonce}c'`);
  client.check(rows.flat().join() === `${nonce}a,${nonce}c`, () => `several statements: ${rows.flat().join()}`);
  client.check(tags.join() === 'SELECT 1,SELECT 0,SELECT 1', () => `several statements: ${tags.join()}`);
}

const SERIES = "SELECT $1::text || ':' || i FROM generate_series(1, $2::int) i";

export async function unnamedStatement(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  const count = client.random.below(50);
  const answer = await client.ask('unnamed', parse('', SERIES), ...run('', nonce, count), sync());
  client.succeeded('unnamed', answer);
  client.expectRows('unnamed', answer, count, (index) => `${nonce}:${index + 1}`);
  client.check(answer.shape === (count === 0 ? '12TCZ' : '12TDCZ'), () => `unnamed: ${answer.shape}`);
}

const run = (statement: string, nonce: string, count: number) => [
  bind('', statement, [nonce, String(count)]),
  describe('P', ''),
  execute(''),
];

/** Groups that are sent at once, some of which fail in the middle: nothing of them may move into another. */
export async function pipeline(client: SoakClient): Promise<void> {
  const { random } = client;
  const groups = Array.from({ length: 2 + random.below(10) }, () => ({ nonce: nonceOf(client), bad: random.chance(0.25) }));
  const allowed = !client.model.inTransaction;
  const messages = groups.flatMap(({ nonce, bad }) => {
    const first = [parse('', SERIES), ...run('', nonce, 2)];
    if (!bad || !allowed) return [...first, sync()];
    return [...first, parse('', 'SELECT 1 / $1::int'), bind('', '', ['0']), execute(''), ...run('', nonce, 1), sync()];
  });
  client.note(`pipeline of ${groups.length}`);
  client.raw.send(...messages);
  for (const [index, { nonce, bad }] of groups.entries()) {
    const answer = await client.answer(`pipeline ${index}`);
    client.expectRows(`pipeline ${index}`, answer, 2, (row) => `${nonce}:${row + 1}`);
    const expected = bad && allowed ? '22012' : '';
    client.check(answer.errors.join() === expected, () => `pipeline ${index}: ${answer.errors.join()} for ${expected}`);
  }
}

/** A portal that is read in parts, held by Flush between them. */
export async function portal(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  client.note('portal');
  client.raw.send(parse('', SERIES), bind('', '', [nonce, '7']), execute('', 3), flush());
  const part = async () => {
    for (;;) {
      const message = await client.next('portal');
      if (message[0] === BACKEND.portalSuspended) return;
      client.check(message[0] !== BACKEND.errorResponse, () => `portal: ${message.toString('latin1')}`);
    }
  };
  await part();
  client.raw.send(execute('', 3), flush());
  await part();
  const answer = await client.ask('portal, rest', execute('', 0), sync());
  client.succeeded('portal', answer);
  client.expectRows('portal', answer, 1, () => `${nonce}:7`);
}

const NAMES = ['s1', 's2', 's3', 'a name "with" $igns'];

export async function namedStatement(client: SoakClient): Promise<void> {
  const { model, random } = client;
  const name = random.pick(NAMES);
  const known = model.prepared.get(name);
  if (known === undefined) {
    const marker = nonceOf(client);
    const answer = await client.ask(`parse ${name}`, parse(name, `SELECT '${marker}:' || $1::text`), describe('S', name), sync());
    client.succeeded(`parse ${name}`, answer);
    client.check(answer.shape === '1tTZ', () => `parse ${name}: ${answer.shape}`);
    model.prepared.set(name, marker);
  } else if (random.chance(0.15)) {
    client.succeeded(`close ${name}`, await client.ask(`close ${name}`, close('S', name), sync()));
    model.prepared.delete(name);
  } else {
    const group = [bind('', name, ['v']), execute(''), sync()];
    const answer = await client.ask(`execute ${name}`, ...group);
    client.succeeded(`execute ${name}`, answer);
    client.expectRows(`execute ${name}`, answer, 1, () => `${known}:v`);
  }
}

/** Outside a transaction, which they would break. */
export async function wrongName(client: SoakClient): Promise<void> {
  const [known] = client.model.prepared.keys();
  const missing = await client.ask('bind nothing', bind('', 'nobody has this', []), execute(''), sync());
  client.check(missing.errors.join() === '26000', () => `bind to nothing: ${missing.errors.join()}`);
  if (known === undefined) return;
  const twice = await client.ask(`parse ${known} again`, parse(known, 'SELECT 1'), sync());
  client.check(twice.errors.join() === '42P05', () => `parse ${known} again: ${twice.errors.join()}`);
}

export async function sqlPrepare(client: SoakClient): Promise<void> {
  const { model, random } = client;
  const name = random.pick(['q1', 'q2']);
  const known = model.prepared.get(name);
  if (known === undefined) {
    const marker = nonceOf(client);
    await client.run(`PREPARE ${name} (text) AS SELECT '${marker}:' || $1`);
    model.prepared.set(name, marker);
  } else if (random.chance(0.2)) {
    await client.run(`DEALLOCATE ${name}`);
    model.prepared.delete(name);
  } else {
    await client.expect(`EXECUTE ${name} ('w')`, `${known}:w`);
  }
}

export async function copyOut(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  const count = client.random.below(client.random.chance(0.1) ? 20_000 : 200);
  const { copied } = await client.run(`COPY (SELECT '${nonce}:' || i FROM generate_series(1, ${count}) i) TO STDOUT`);
  const expected = Array.from({ length: count }, (_, index) => `${nonce}:${index + 1}\n`).join('');
  client.check(
    copied.toString('latin1') === expected,
    () => `COPY out of ${count}: ${copied.subarray(0, 200).toString('latin1')}`,
  );
}

/** The bytes pile up in front of a client that does not read; they are its own all the same. */
export async function slowReader(client: SoakClient): Promise<void> {
  const nonce = nonceOf(client);
  const count = 8000;
  client.note('slow reader');
  const { socket } = client.raw;
  client.raw.send(query(`SELECT '${nonce}:' || i || repeat('z', 1000) FROM generate_series(1, ${count}) i`));
  socket.pause();
  await sleep(client.random.below(150));
  socket.resume();
  const answer = await client.answer('slow reader');
  client.expectRows('slow reader', answer, count, (index) => `${nonce}:${index + 1}${'z'.repeat(1000)}`);
}

export async function mistakes(client: SoakClient): Promise<void> {
  await client.fails('SELECT 1 / 0', '22012');
  await client.fails('SELEC 1', '42601');
  await client.fails(`SELECT * FROM "${client.tag} is no table"`, '42P01');
  const empty = await client.simple('');
  client.check(empty.shape === 'IZ', () => `an empty query: ${empty.shape}`);
}

/** One that was late may have hit what the proxy asked for the same client, and nobody else's statement; one that is over hits none. */
export async function cancelled(client: SoakClient): Promise<void> {
  client.note('cancelled sleep');
  client.raw.send(query(`SELECT '${client.tag}' FROM pg_sleep(20)`));
  const answered = client.answer('cancelled sleep');
  let waiting = true;
  const done = answered.finally(() => {
    waiting = false;
  });
  done.catch(() => {});
  const cancels: Promise<void>[] = [];
  while (waiting) {
    const cancel = client.raw.cancel();
    cancels.push(cancel);
    await Promise.race([cancel, done.catch(() => {})]);
    await Promise.race([sleep(20), done.catch(() => {})]);
  }
  await Promise.all(cancels);
  const { errors } = await answered;
  client.check(errors.join() === '57014', () => `cancelled: ${errors.join()}`);
  await client.expect(`SELECT '${client.tag}'`, client.tag);
}
