import { once } from 'node:events';
import { destination, type Logger, pino } from 'pino';
import { toDiskError } from '#adapters/files/disk-errors.ts';
import type { ProxyFile } from '#domain/config/proxy-config.ts';

/** What is not written yet. More than this, since nobody reads or the disk is full, and lines are lost rather than clients held up. */
const MAX_UNWRITTEN_BYTES = 2 ** 20;

export interface OpenLog {
  readonly logger: Logger;
  /** Writes what is left. */
  flush(): void;
  /** After the file was moved away. */
  reopen(): void;
}

/** Lines of JSON, never with a secret, to a file or standard error. Errors: `disk.…`. */
export async function openLog({ level, file }: ProxyFile['log']): Promise<OpenLog> {
  const sink = destination({ dest: file ?? 2, sync: false, maxLength: MAX_UNWRITTEN_BYTES, mode: 0o600 });
  if (file !== undefined) {
    const [error] = await Promise.race([once(sink, 'ready').then(() => []), once(sink, 'error')]).catch((error) => [error]);
    if (error !== undefined) throw toDiskError(error, file);
  }
  // A disk that is full for a while, or a reader that went away, is no reason to end.
  sink.on('error', () => {});
  const logger = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } },
    sink,
  );
  const flush = () => {
    try {
      sink.flushSync();
    } catch {
      // Nobody can be told.
    }
  };
  return { logger, flush, reopen: () => file !== undefined && sink.reopen() };
}
