import { readFileSync, statSync } from 'node:fs';
import { readProcess } from '../../process/processes.ts';

/** The byte of the `-shm` file whose lock is the right to write (https://sqlite.org/walformat.html, WAL_WRITE_LOCK). */
const WRITE_LOCK = 120;

/** For the message of a failed write: the process that holds the write lock, and whether it is stopped. Undefined when nobody does. */
export function describeLockHolder(file: string): string | undefined {
  try {
    const inode = String(statSync(`${file}-shm`, { bigint: true }).ino);
    for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
      // 12: POSIX  ADVISORY  WRITE 4711 fe:00:262146 120 120
      const match = /POSIX\s+\S+\s+WRITE\s+(\d+)\s+\S+:(\d+)\s+(\d+)\s+(\d+|EOF)/.exec(line);
      if (match === null || match[2] !== inode) continue;
      const end = match[4] === 'EOF' ? Number.POSITIVE_INFINITY : Number(match[4]);
      if (Number(match[3]) > WRITE_LOCK || end < WRITE_LOCK) continue;
      const pid = Number(match[1]);
      const stopped = readProcess(pid)?.state.toUpperCase() === 'T';
      return `process ${pid} holds the write lock${stopped ? ' and is stopped' : ''}`;
    }
  } catch {
    // Only for the message.
  }
  return undefined;
}
