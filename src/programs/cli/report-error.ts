import { type ErrorCode, MatriarchError } from '#domain/errors.ts';
import { type Paint, paintFor } from './paint.ts';

/** What the shell gets. Scripts may rely on these. */
export const EXIT_CODES = {
  done: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  refused: 4,
  timedOut: 5,
  interrupted: 130,
} as const;

export const EXIT_CODE_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  done: 'It is done.',
  failed: 'It went wrong: the machine, the disk, the network, or a bug. The message says what.',
  usage: 'The command line or a configuration is wrong. Nothing was touched.',
  notRunning: 'There is no such cluster or member, or it is not running.',
  refused: 'It would be unsafe, or contradicts what is there. Nothing was touched.',
  timedOut: 'It was begun and has not come to its end in time; it may still do so.',
  interrupted: 'Somebody pressed Ctrl-C.',
};

const NOT_RUNNING: readonly ErrorCode[] = [
  'cluster.notFound',
  'machines.notFound',
  'cluster.notRunning',
  'cluster.noLeader',
  'member.unknown',
  'member.notRunning',
  'member.elsewhere',
  'agent.unreachable',
];
const REFUSED: readonly ErrorCode[] = [
  'request.refused',
  'request.unsafe',
  'cluster.alreadyUp',
  'cluster.differs',
  'cluster.foreignFolder',
  'cluster.foreignSystem',
  'port.taken',
  'postgres.foreignServer',
  'config.conflict',
];

export function exitCodeOf(error: unknown): number {
  if (!(error instanceof MatriarchError)) return EXIT_CODES.failed;
  if (REFUSED.includes(error.code)) return EXIT_CODES.refused;
  if (NOT_RUNNING.includes(error.code)) return EXIT_CODES.notRunning;
  if (error.code === 'request.timeout' || error.code === 'tls.notApplied') return EXIT_CODES.timedOut;
  return error.code.startsWith('usage.') || error.code.startsWith('config.') ? EXIT_CODES.usage : EXIT_CODES.failed;
}

/** What happened and where, then what to do. A bug brings its stack. */
function renderError(error: unknown, paint: Paint): string {
  if (!(error instanceof MatriarchError)) {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${paint('red', 'matriarch: internal.bug:')} ${stack}\n  next: Please report it with this message and the logs.`;
  }
  const detail = error.message.replaceAll('\n', '\n  ');
  return `${paint('red', `matriarch: ${error.code}:`)} ${detail}\n  ${paint('dim', 'next:')} ${error.next}`;
}

/** Prints the error and returns the exit code. */
export function reportError(error: unknown): number {
  process.stderr.write(`${renderError(error, paintFor(process.stderr))}\n`);
  return exitCodeOf(error);
}
