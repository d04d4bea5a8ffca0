import type { Intermediary, IntermediaryName, IntermediaryOptions } from './intermediary.ts';
import { startMatriarchProxy } from './matriarch.ts';
import { startPgbouncer } from './pgbouncer.ts';
import { startPgpool } from './pgpool.ts';

const START: Readonly<Record<IntermediaryName, (options: IntermediaryOptions) => Promise<Intermediary>>> = {
  direct: async ({ server: { host, port } }) => ({
    name: 'direct',
    title: 'direct',
    host,
    port,
    pids: () => [],
    said: '',
    end: async () => {},
  }),
  pgbouncer: startPgbouncer,
  pgpool: startPgpool,
  matriarch: startMatriarchProxy,
};

/** Resolves when it listens. Errors: its program is missing, or ended. */
export function startIntermediary(name: IntermediaryName, options: IntermediaryOptions): Promise<Intermediary> {
  return START[name](options);
}
