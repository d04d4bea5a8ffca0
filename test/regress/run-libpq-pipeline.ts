import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Intermediary } from '../support/intermediaries/intermediary.ts';
import type { Login } from '../support/plain-server.ts';

const ROWS = '10000';
const TIMEOUT_MS = 60_000;
/** A line for each row that could be sent before the first answer was read, which may be hundreds of thousands. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** PostgreSQL's tests of libpq's pipelines. Returns those that failed, with what they said; none does directly. */
export function runLibpqPipeline(tools: string, through: Intermediary, login: Login, database: string): readonly string[] {
  const program = join(tools, 'libpq_pipeline');
  const tests = spawnSync(program, ['tests'], { encoding: 'utf8' }).stdout.trim().split('\n');
  const { host, port } = through;
  return tests.flatMap((test) => {
    const { status, stderr, error } = spawnSync(
      program,
      ['-r', ROWS, test, `host=${host} port=${port} dbname=${database} user=${login.user}`],
      {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, PGPASSWORD: login.password },
        timeout: TIMEOUT_MS,
        maxBuffer: MAX_OUTPUT_BYTES,
      },
    );
    return status === 0
      ? []
      : [`${test}: ${status === null ? (error?.message ?? 'it was killed') : stderr.trim().split('\n').slice(-3).join(' ')}`];
  });
}
