import { setTimeout as sleep } from 'node:timers/promises';
import { query } from '#wire/encode-frontend.ts';
import { frame } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';
import type { SoakClient } from './soak-client.ts';

/** Values as SHOW says them. */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  work_mem: ['1111kB', '2222kB', '3333kB'],
  statement_timeout: ['61001ms', '71001ms'],
  TimeZone: ['Europe/Vienna', 'Asia/Tokyo', 'UTC'],
  DateStyle: ['ISO, DMY', 'SQL, MDY', 'German, DMY'],
  search_path: ['public', 'pg_temp, public', '"$user", public'],
  extra_float_digits: ['0', '2'],
  enable_seqscan: ['on', 'off'],
};
const CUSTOM = 'soak.tag';
const HEARD_EVERY_MS = 20;
const NOTIFY_EVERY_ROUNDS = 50;
const HEARD_WITHIN_ROUNDS = 1000;
const ALL_SETTINGS = [...Object.keys(SETTINGS), 'application_name'];

export async function setSomething(client: SoakClient): Promise<void> {
  const { model, random } = client;
  const name = random.pick([...ALL_SETTINGS, CUSTOM]);
  const value = SETTINGS[name] === undefined ? `${client.tag}-${random.below(1000)}` : random.pick(SETTINGS[name]);
  const local = model.inTransaction && random.chance(0.4);
  if (random.chance(0.5)) await client.run(`SELECT set_config('${name}', '${value}', ${local})`);
  else await client.run(`SET ${local ? 'LOCAL ' : ''}${name} = ${name === 'search_path' ? value : `'${value}'`}`);
  model.set(name, value, local);
}

export async function resetSomething(client: SoakClient): Promise<void> {
  const name = client.random.pick(ALL_SETTINGS);
  await client.run(`RESET ${name}`);
  client.model.set(name, client.defaults.get(name) ?? '');
}

export async function showSettings(client: SoakClient): Promise<void> {
  for (const [name, value] of client.model.shown) await client.expect(`SHOW ${name}`, value);
  const reported = client.raw.parameters.get('application_name');
  const expected = client.model.shown.get('application_name');
  client.check(reported === expected, () => `application_name was reported as ${reported} in place of ${expected}`);
}

export async function learnDefaults(client: SoakClient): Promise<void> {
  client.defaults.clear();
  for (const name of ALL_SETTINGS) client.defaults.set(name, (await client.value(`SHOW ${name}`)) ?? '');
  client.check(client.defaults.get('application_name') === client.tag, () => 'application_name is not that of the startup');
}

export async function discardAll(client: SoakClient): Promise<void> {
  await client.run('DISCARD ALL');
  client.model.forgetSession(client.defaults);
}

export async function temporaryTable(client: SoakClient): Promise<void> {
  const { model, random, tag } = client;
  if (model.temporary === null) {
    await client.run(`CREATE TEMP TABLE mine AS SELECT '${tag}'::text AS owner`);
    model.temporary = 1;
  } else if (random.chance(0.2)) {
    await client.run('DROP TABLE pg_temp.mine');
    model.temporary = null;
  } else {
    await client.run(`INSERT INTO pg_temp.mine VALUES ('${tag}')`);
    model.temporary++;
    const expected = `${model.temporary} ${model.temporary}`;
    await client.expect(`SELECT count(*) || ' ' || count(*) FILTER (WHERE owner = '${tag}') FROM pg_temp.mine`, expected);
  }
}

const HELD = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted`;

export async function advisoryLock(client: SoakClient): Promise<void> {
  const { model, random } = client;
  const key = client.id * 10 + random.below(3);
  if (model.locks.has(key)) {
    await client.expect(`SELECT pg_advisory_unlock(${key})`, 't');
    model.locks.delete(key);
  } else {
    // Another client's is never in the way: the keys are this client's own.
    await client.expect(`SELECT pg_try_advisory_lock(${key})`, 't');
    model.locks.add(key);
  }
  await client.expect(HELD, String(model.locks.size));
}

export async function listenOrNotify(client: SoakClient): Promise<void> {
  const { model, random, channel, tag } = client;
  if (!model.listens) {
    await client.run(`LISTEN ${channel}`);
    model.listens = true;
  } else if (random.chance(0.15)) {
    await client.run(`UNLISTEN ${random.pick(['*', channel])}`);
    model.listens = false;
  } else if (!model.inTransaction) {
    const payload = `${tag}:${random.below(1_000_000_000)}`;
    await client.run(`NOTIFY ${channel}, '${payload}'`);
    if (client.world.calm) await client.untilHeard(payload);
    else await hearSooner(client, payload);
  }
}

/** The connection that listens for all may have been terminated: what is notified until it listens again is lost, but nothing later. */
async function hearSooner(client: SoakClient, payload: string): Promise<void> {
  for (let round = 1; !client.heard.some((one) => one.payload === payload); round++) {
    client.check(round < HEARD_WITHIN_ROUNDS, () => `has not heard ${payload}`);
    await sleep(HEARD_EVERY_MS);
    await client.run(round % NOTIFY_EVERY_ROUNDS === 0 ? `NOTIFY ${client.channel}, '${payload}'` : `SELECT '${client.tag}'`);
  }
  client.heard.length = 0;
}

export async function cursor(client: SoakClient): Promise<void> {
  const { random, tag } = client;
  await client.run(`DECLARE reader SCROLL CURSOR FOR SELECT '${tag}:' || i FROM generate_series(1, 100) i`);
  let at = 0;
  for (let steps = random.below(5); steps > 0; steps--) {
    const count = 1 + random.below(10);
    const answer = await client.run(`FETCH ${count} FROM reader`);
    const from = at;
    client.expectRows('FETCH', answer, count, (index) => `${tag}:${from + index + 1}`);
    at += count;
  }
  await client.run('CLOSE reader');
}

/** Outlives its transaction. */
export async function heldCursor(client: SoakClient): Promise<void> {
  const { tag } = client;
  await client.run(`DECLARE keeper CURSOR WITH HOLD FOR SELECT '${tag}:' || i FROM generate_series(1, 20) i`);
  await client.run(`SELECT '${tag}'`);
  client.expectRows('FETCH', await client.run('FETCH 5 FROM keeper'), 5, (index) => `${tag}:${index + 1}`);
  client.expectRows('FETCH', await client.run('FETCH 5 FROM keeper'), 5, (index) => `${tag}:${index + 6}`);
  await client.run('CLOSE keeper');
}

export async function insertRow(client: SoakClient): Promise<void> {
  const { model, id, tag } = client;
  const number = model.nextRow++;
  const note = `${tag}:${client.random.below(1_000_000_000)}`;
  await client.write(`INSERT INTO soak VALUES (${id}, ${number}, '${note}')`, () => model.rows.set(number, note));
}

export async function changeRows(client: SoakClient): Promise<void> {
  const { model, id, random } = client;
  const [number] = random.shuffled([...model.rows.keys()].slice(0, 50));
  if (number === undefined) return insertRow(client);
  const which = `client = ${id} AND number = ${number}`;
  if (random.chance(0.6)) {
    await client.write(`DELETE FROM soak WHERE ${which}`, () => model.rows.delete(number));
  } else {
    const note = `${client.tag}:changed ${random.below(1_000_000_000)}`;
    await client.write(`UPDATE soak SET note = '${note}' WHERE ${which}`, () => model.rows.set(number, note));
  }
}

export async function readRows(client: SoakClient): Promise<void> {
  const { rows } = await client.run(`SELECT number, note FROM soak WHERE client = ${client.id} ORDER BY number`);
  client.checkRows(rows);
}

export async function copyIn(client: SoakClient): Promise<void> {
  const { model, random, id, tag } = client;
  const fails = !model.inTransaction && random.chance(0.3);
  const numbers = Array.from({ length: random.below(100) }, () => model.nextRow++);
  const notes = new Map(numbers.map((number) => [number, `${tag}:copied ${random.below(1_000_000_000)}`]));
  const lines = [...notes].map(([number, note]) => Buffer.from(`${id}\t${number}\t${note}\n`));
  const end = fails ? frame(FRONTEND.copyFail, Buffer.from('changed my mind\0')) : frame(FRONTEND.copyDone);
  // Sent at once, as libpq's pipelines do not but the protocol allows: the server reads it in order.
  const messages = [query('COPY soak FROM STDIN'), ...lines.map((line) => frame(FRONTEND.copyData, line)), end];
  await client.writeBy('COPY soak FROM STDIN', messages, fails ? '57014' : '', () => {
    if (!fails) for (const [number, note] of notes) model.rows.set(number, note);
  });
}
