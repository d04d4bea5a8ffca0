import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '#domain/errors.ts';
import { type Cluster, memberNamed } from './cluster.ts';
import { type LogLine, type LogSource, mergeLogLines, readLogLines, renderLogLine } from './log-lines.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { paintFor } from './paint.ts';

/** Bytes of one file that are looked at for its last lines: 100 lines of a thousand letters and more. */
const TAIL_BYTES = 2 ** 20;
const FOLLOW_EVERY_MS = 200;

type LogFile = readonly [LogSource, string];
/** As it stands where a member would. */
const PROXY = 'proxy';

interface Tail {
  readonly source: LogSource;
  readonly path: string;
  offset: number;
  /** The beginning of a line whose end is not written yet. */
  unfinished: string;
  lastAt: number;
}

/** What was written since the last look. A file that became shorter was rotated, and is read from its start. */
async function readOn(tail: Tail, limit = TAIL_BYTES): Promise<LogLine[]> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(tail.path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size < tail.offset) Object.assign(tail, { offset: 0, unfinished: '' });
    if (tail.offset === 0 && size > limit) tail.offset = size - limit;
    const buffer = Buffer.alloc(Math.min(size - tail.offset, limit));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, tail.offset);
    tail.offset += bytesRead;
    const lines = (tail.unfinished + buffer.toString('utf8', 0, bytesRead)).split('\n');
    tail.unfinished = (lines.pop() ?? '').slice(-limit);
    const read = readLogLines(tail.source, lines, tail.lastAt);
    tail.lastAt = read.at(-1)?.at ?? tail.lastAt;
    return read;
  } finally {
    await file.close();
  }
}

function memberFiles(cluster: Cluster, name: string): readonly LogFile[] {
  memberNamed(cluster, name);
  const { agentLog, postgresLog, guardLog } = cluster.folderOf(name);
  return [
    ['agent', agentLog],
    ['postgres', postgresLog],
    ['guard', guardLog],
  ];
}

function proxyFiles(cluster: Cluster): readonly LogFile[] {
  if (cluster.proxyLog !== null) return [['proxy', cluster.proxyLog]];
  return fail('member.unknown', `${cluster.name} runs no proxy here; one of a unit of its own writes to \`journalctl\``);
}

export async function logs(name: string, options: Where & { readonly follow?: boolean; readonly lines: number }): Promise<void> {
  const cluster = await openCluster(options);
  const files = name === PROXY ? proxyFiles(cluster) : memberFiles(cluster, name);
  const tails = files.map(([source, path]): Tail => ({ source, path, offset: 0, unfinished: '', lastAt: 0 }));
  const paint = paintFor(process.stdout);
  const print = (lines: readonly LogLine[]) => {
    for (const line of lines) process.stdout.write(`${renderLogLine(line, paint)}\n`);
  };
  if (!existsSync(files[0]?.[1] ?? '') && name !== PROXY)
    process.stderr.write(`The agent writes no file here; under systemd its lines are in \`journalctl -u matriarch-agent\`.\n`);
  print(
    mergeLogLines(await Promise.all(tails.map((tail) => readOn(tail)))).slice(options.lines === 0 ? Infinity : -options.lines),
  );
  // Ctrl-C ends the process, as people expect of `tail -f`.
  while (options.follow === true) {
    await sleep(FOLLOW_EVERY_MS);
    print(mergeLogLines(await Promise.all(tails.map((tail) => readOn(tail)))));
  }
}
