import { setTimeout as sleep } from 'node:timers/promises';
import { query } from '#wire/encode-frontend.ts';
import { frame } from '#wire/frame.ts';
import { FRONTEND } from '#wire/message-types.ts';
import * as reading from './reading.ts';
import * as state from './session-state.ts';
import { Disturbed, type SoakClient } from './soak-client.ts';

interface Operation {
  readonly run: (client: SoakClient) => Promise<void>;
  readonly weight: number;
  /** Also in the middle of a transaction. */
  readonly anywhere: boolean;
}

const OPERATIONS: Readonly<Record<string, Operation>> = {
  simpleRows: { run: reading.simpleRows, weight: 10, anywhere: true },
  severalStatements: { run: reading.severalStatements, weight: 3, anywhere: true },
  unnamedStatement: { run: reading.unnamedStatement, weight: 8, anywhere: true },
  namedStatement: { run: reading.namedStatement, weight: 12, anywhere: true },
  sqlPrepare: { run: reading.sqlPrepare, weight: 5, anywhere: true },
  wrongName: { run: reading.wrongName, weight: 2, anywhere: false },
  pipeline: { run: reading.pipeline, weight: 5, anywhere: true },
  portal: { run: reading.portal, weight: 3, anywhere: true },
  copyOut: { run: reading.copyOut, weight: 3, anywhere: true },
  copyIn: { run: state.copyIn, weight: 3, anywhere: true },
  hugeRow: { run: reading.hugeRow, weight: 1, anywhere: true },
  slowReader: { run: reading.slowReader, weight: 1, anywhere: true },
  mistakes: { run: reading.mistakes, weight: 3, anywhere: false },
  cancelled: { run: reading.cancelled, weight: 1, anywhere: false },
  setSomething: { run: state.setSomething, weight: 8, anywhere: true },
  resetSomething: { run: state.resetSomething, weight: 3, anywhere: true },
  showSettings: { run: state.showSettings, weight: 6, anywhere: true },
  discardAll: { run: state.discardAll, weight: 1, anywhere: false },
  temporaryTable: { run: state.temporaryTable, weight: 3, anywhere: true },
  advisoryLock: { run: state.advisoryLock, weight: 3, anywhere: true },
  listenOrNotify: { run: state.listenOrNotify, weight: 4, anywhere: true },
  heldCursor: { run: state.heldCursor, weight: 1, anywhere: false },
  insertRow: { run: state.insertRow, weight: 6, anywhere: true },
  changeRows: { run: state.changeRows, weight: 4, anywhere: true },
  readRows: { run: state.readRows, weight: 3, anywhere: true },
  transaction: { run: transaction, weight: 14, anywhere: false },
  leaveSuddenly: { run: leaveSuddenly, weight: 1, anywhere: false },
};

/** Session after session, until `signal`. Errors: `Violation`. */
export async function live(client: SoakClient, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      if (!client.connected) await arrive(client);
      await perform(client, pick(client, false));
    } catch (error) {
      if (!(error instanceof Disturbed)) throw error;
      await recover(client, error);
    }
  }
  client.disconnect();
}

async function arrive(client: SoakClient): Promise<void> {
  client.model.reconnect(new Map());
  await client.connect();
  try {
    await state.learnDefaults(client);
  } catch (error) {
    // A session whose settings are not known yet can be judged by nothing.
    client.disconnect();
    throw error;
  }
  client.model.reconnect(client.defaults);
  await state.readRows(client);
}

/** A session that outlived its server keeps what belongs to it; what was on the server has gone. */
async function recover(client: SoakClient, why: Disturbed): Promise<void> {
  const { model } = client;
  client.count('disturbed');
  client.note(`disturbed: ${why.message}`);
  model.rollback();
  if (!client.connected) {
    client.disconnect();
    await sleep(client.random.below(50));
    return;
  }
  try {
    // Whatever stands in the middle is answered; only then does the next answer belong to the next question.
    await client.drain();
    if (model.temporary !== null) await client.run('DROP TABLE IF EXISTS pg_temp.mine');
    model.temporary = null;
    await client.run('SELECT pg_advisory_unlock_all()');
    model.locks.clear();
    await state.readRows(client);
    client.count('sessions that outlived a server');
  } catch (error) {
    if (!(error instanceof Disturbed)) throw error;
    client.disconnect();
  }
}

function pick(client: SoakClient, inTransaction: boolean): string {
  const possible = Object.entries(OPERATIONS).filter(
    ([name, { anywhere }]) => (anywhere || !inTransaction) && !client.world.skip.includes(name),
  );
  let left = client.random.below(possible.reduce((sum, [, { weight }]) => sum + weight, 0));
  for (const [name, { weight }] of possible) {
    left -= weight;
    if (left < 0) return name;
  }
  return 'simpleRows';
}

async function perform(client: SoakClient, name: string): Promise<void> {
  client.note(`— ${name}`);
  await OPERATIONS[name]?.run(client);
  client.count(name);
}

async function transaction(client: SoakClient): Promise<void> {
  const { model, random } = client;
  model.begin();
  await client.run(random.pick(['BEGIN', 'BEGIN ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION']));
  for (let steps = 1 + random.below(8); steps > 0; steps--) await step(client);
  if (random.chance(0.7)) await commit(client);
  else {
    model.rollback();
    await client.run('ROLLBACK');
  }
}

async function step(client: SoakClient): Promise<void> {
  const { model, random } = client;
  const chance = random.below(10);
  if (chance === 0) {
    await client.run('SAVEPOINT here');
    model.savepoint();
  } else if (chance === 1 && model.savepoints > 0) {
    await client.run('ROLLBACK TO here');
    model.rollbackToSavepoint();
  } else if (chance === 2 && model.savepoints > 0) {
    await client.run('RELEASE here');
    model.releaseSavepoint();
  } else if (chance === 3 && model.savepoints > 0) {
    await client.fails('SELECT 1 / 0', '22012');
    await client.fails(`SELECT '${client.tag}'`, '25P02');
    await client.run('ROLLBACK TO here');
    model.rollbackToSavepoint();
  } else if (chance === 4) await state.cursor(client);
  else await perform(client, pick(client, true));
}

async function commit(client: SoakClient): Promise<void> {
  const { model } = client;
  try {
    const { errors, tags } = await client.simple('COMMIT');
    client.check(errors.length === 0 && tags.join() === 'COMMIT', () => `COMMIT: ${errors.join()} ${tags.join()}`);
    model.commit();
  } catch (error) {
    if (error instanceof Disturbed) model.commitUnknown();
    throw error;
  }
}

/** In the middle of a transaction, a result, a COPY or a message. Nothing of it may stay. */
async function leaveSuddenly(client: SoakClient): Promise<void> {
  const { model, random, raw, id } = client;
  const way = random.below(4);
  if (way === 0) {
    model.begin();
    await client.run('BEGIN');
    await state.insertRow(client);
    model.rollback();
  } else if (way === 1) {
    raw.send(query(`SELECT '${client.tag}' || repeat('w', 1000) FROM generate_series(1, 20000)`));
    await sleep(random.below(20));
  } else if (way === 2) {
    raw.send(query('COPY soak FROM STDIN'), frame(FRONTEND.copyData, Buffer.from(`${id}\t999999999\tnever\n`)));
    await sleep(random.below(20));
  } else {
    raw.send(query(`SELECT '${client.tag}'`).subarray(0, 9));
    await sleep(random.below(20));
  }
  client.disconnect();
}
