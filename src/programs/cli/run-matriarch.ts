import { execFile } from 'node:child_process';
import { join } from 'node:path';

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'bin', 'matriarch');
const TIMEOUT_MS = 60_000;

/** For tests: runs the program as people do, without a terminal and without the settings of whoever runs the tests. */
export function runMatriarch(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<Finished> {
  const { MATRIARCH_DIR: _dir, MATRIARCH_POSTGRES_BIN: _bin, FORCE_COLOR: _colour, ...own } = process.env;
  return new Promise((resolve, reject) => {
    execFile(PROGRAM, args, { env: { ...own, ...environment }, timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}
