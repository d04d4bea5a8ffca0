import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientKeyOf } from '../../test/support/client-key.ts';
import type { Intermediary } from '../../test/support/intermediaries/intermediary.ts';
import type { Login, PlainServer } from '../../test/support/plain-server.ts';
import type { IdleClientsOrder } from './idle-clients-child.ts';

const CHILD = join(import.meta.dirname, 'idle-clients-child.ts');
const SETTLE_MS = 3000;

export interface IdleClients {
  readonly opened: number;
  /** What ended the attempt to open more; null: nothing did. */
  readonly failure: string | null;
  readonly seconds: number;
  readonly beforeMb: number;
  /** Resident memory of all processes of the intermediary, with so many clients logged in. */
  readonly residentMb: number;
}

/** Opens `count` connections one beside the other in another process, and looks at what they cost. */
export async function measureIdleClients(
  through: Intermediary,
  server: PlainServer,
  login: Login,
  database: string,
  count: number,
): Promise<IdleClients> {
  const secret = await clientKeyOf(server, login);
  if (secret.kind !== 'clientKey') throw new Error('no key');
  const [row] = await server.sql(`SELECT rolpassword FROM pg_authid WHERE rolname = '${login.user}'`);
  const order: IdleClientsOrder = {
    host: through.host,
    port: through.port,
    user: login.user,
    database,
    clientKey: secret.clientKey.toString('base64'),
    verifier: String(row?.rolpassword),
    count,
  };
  const beforeMb = residentMb(through);
  const began = performance.now();
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD], { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    child.stdin.write(`${JSON.stringify(order)}\n`);
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const seconds = (performance.now() - began) / 1000;
    await sleep(SETTLE_MS);
    return {
      ...(JSON.parse(line) as { opened: number; failure: string | null }),
      seconds,
      beforeMb,
      residentMb: residentMb(through),
    };
  } finally {
    const exit = once(child, 'exit');
    child.stdin.end();
    await exit;
  }
}

/** Of all its processes; memory that they share counts for each. */
export function residentMb(through: Intermediary): number {
  return through.pids().reduce((sum, pid) => {
    const kilobytes = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return sum + Number(kilobytes) / 1024;
  }, 0);
}
