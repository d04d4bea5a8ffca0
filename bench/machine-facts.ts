import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { POSTGRES_BIN } from '../test/support/plain-server.ts';

/** What a number depends on, in one line to stand beside it. */
export function machineFacts(): string {
  const all = cpus();
  const postgres = execFileSync(`${POSTGRES_BIN}/postgres`, ['--version'], { encoding: 'utf8' }).trim();
  return [
    `${all.length} × ${all[0]?.model ?? 'processor'}`,
    `${(totalmem() / 2 ** 30).toFixed(0)} GB`,
    `Linux ${release()}`,
    postgres,
    `Node.js ${process.versions.node}`,
    `load ${loadavg()[0]?.toFixed(2)} before`,
    new Date().toISOString().slice(0, 10),
  ].join(', ');
}
