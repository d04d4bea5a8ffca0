import { flushCompileCache } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CanaryProbe, TICK_MS } from './canary-probe.ts';
import type { CanaryOrder, CanaryReport, CanarySettings } from './canary-protocol.ts';
import { loadClient, WriteProbe } from './canary-write.ts';
import { DiskWrite } from './disk-write.ts';
import { dropPrivileges } from './drop-privileges.ts';

// The canary: tries in a process of its own what may hang, so that the agent never does: a new connection, a synced write beside
// the WAL and wherever else the server has a disk, and on a primary a transaction.

/**
 * A disk or a transaction is stuck after four deadlines. A file system's journal commit or a checkpoint's flush stalls a healthy
 * server for a second or two, and a failover for that would be worse; a postmaster that does not fork for a second is not healthy.
 */
const DISK_DEADLINES = 4;
/** SSLRequest (manual, section 55.7): the shortest message that a server answers, before any authentication, in a new process. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

const lines = createInterface({ input: process.stdin });
const input = lines[Symbol.asyncIterator]();
const first = await input.next();
if (first.done === true) process.exit(0);
const settings = JSON.parse(first.value) as CanarySettings;
// Whoever gives up root loads everything before: the packages may lie in a folder that the server's user cannot enter.
if (settings.runAs !== null) await loadClient();
flushCompileCache();
dropPrivileges(settings.runAs);

let reported = '';
const disks = settings.directories.map((directory) => new DiskWrite(directory));
const writer = new WriteProbe(settings);
const probes = {
  'it takes no new connections': new CanaryProbe({ attempt: tryConnection, deadlineMs: settings.deadlineMs, secondChance: true }),
  'its disk does not finish a write': new CanaryProbe({
    attempt: async () => void (await Promise.all(disks.map((disk) => disk.attempt()))),
    deadlineMs: settings.deadlineMs * DISK_DEADLINES,
    secondChance: false,
  }),
  'a transaction does not end': new CanaryProbe({
    attempt: () => writer.attempt(),
    deadlineMs: settings.deadlineMs * DISK_DEADLINES,
    secondChance: false,
  }),
};
let ticker: NodeJS.Timeout | undefined;
setInterval(begin, settings.intervalMs);
begin();
for await (const line of input) writer.setPrimary((JSON.parse(line) as CanaryOrder).primary);
// The agent is gone, or wants no canary any more.
process.exit(0);

function begin(): void {
  for (const probe of Object.values(probes)) probe.begin();
  ticker ??= setInterval(tick, TICK_MS);
  // Once a round, changed or not: the agent sees that the canary lives.
  reported = '';
  report();
}

function tick(): void {
  for (const probe of Object.values(probes)) probe.tick();
  report();
  if (Object.values(probes).some((probe) => probe.isOut)) return;
  clearInterval(ticker);
  ticker = undefined;
}

function report(): void {
  const stuck = Object.entries(probes).flatMap(([name, probe]) => (probe.isStuck ? [name] : []));
  const what = {
    stuck: stuck.length === 0 ? null : stuck.join('; '),
    diskFull: writer.isDiskFull || disks.some(({ isFull }) => isFull),
  };
  const text = JSON.stringify(what satisfies CanaryReport);
  if (text === reported) return;
  reported = text;
  process.stdout.write(`${text}\n`);
}

/** Any answer shows that the postmaster lives: a byte, a closed connection, a refused one (nobody listens: the agent sees the end). */
function tryConnection(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = connect(join(settings.socketDirectory, `.s.PGSQL.${settings.port}`));
  socket.once('connect', () => socket.write(SSL_REQUEST));
  socket.once('data', () => socket.destroy());
  socket.on('end', () => socket.destroy());
  // EAGAIN: the queue of new connections is full, as it is before a postmaster that takes none. That is no answer.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EAGAIN') setTimeout(() => tryConnection().then(resolve), settings.intervalMs);
    else resolve();
  });
  socket.once('close', (hadError) => hadError || resolve());
  return promise;
}
