import { runTool } from '#adapters/postgres/tool.ts';
import type { Intermediary } from '../../test/support/intermediaries/intermediary.ts';
import { POSTGRES_BIN } from '../../test/support/plain-server.ts';

export type Direction = 'out' | 'in';

const ROW_BYTES = 1000;

export interface BulkCopyOptions {
  readonly through: Intermediary;
  readonly direction: Direction;
  readonly bytes: number;
  readonly user: string;
  readonly database: string;
  readonly passwordFile: string;
  readonly tls: boolean;
  readonly cwd: string;
}

/**
 * Megabytes a second of one COPY by psql, in rows of 1 kB. Rows come out of a series, and go into a condition that lets none in:
 * neither side waits for a disk. Errors: psql's.
 */
export async function bulkCopy(options: BulkCopyOptions): Promise<number> {
  const { through, direction, bytes, user, database, passwordFile, tls, cwd } = options;
  const rows = Math.floor(bytes / ROW_BYTES);
  const text = 'x'.repeat(ROW_BYTES - 1);
  const psql = `exec '${POSTGRES_BIN}/psql' -X -q -v ON_ERROR_STOP=1 -h ${through.host} -p ${through.port} -U ${user} ${database}`;
  const script =
    direction === 'out'
      ? `${psql} -c "COPY (SELECT '${text}' FROM generate_series(1, ${rows})) TO STDOUT" >/dev/null`
      : `yes ${text} | head -n ${rows} | ${psql} -c 'COPY sink FROM STDIN WHERE false'`;
  const began = performance.now();
  const ran = await runTool({
    program: '/bin/sh',
    args: ['-c', script],
    owner: undefined,
    cwd,
    env: { PGPASSFILE: passwordFile, PGSSLMODE: tls ? 'require' : 'disable', PGGSSENCMODE: 'disable' },
    timeoutMs: 300_000,
  });
  if (ran.code !== 0) throw new Error(ran.stderr.trim());
  return (rows * ROW_BYTES) / 1e6 / ((performance.now() - began) / 1000);
}
