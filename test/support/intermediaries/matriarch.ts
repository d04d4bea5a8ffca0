import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../patroni-ports.ts';
import { HOST, writeFor } from '../plain-server.ts';
import { RunningProgram } from '../running-program.ts';
import type { Intermediary, IntermediaryOptions } from './intermediary.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'bin', 'matriarch');

/** The proxy as people start it by hand. */
export async function startMatriarchProxy({ server, folder, tls }: IntermediaryOptions): Promise<Intermediary> {
  mkdirSync(folder, { mode: 0o700 });
  const passwords = writeFor(undefined, join(folder, 'password'), `${server.superuser.password}\n`);
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const args = [
    ...['--servers', `${server.host}:${server.port}`, '--user', server.superuser.user, '--password-file', passwords],
    ...['--listen', `${HOST}:${port}`, '--metrics', `${HOST}:${metricsPort}`],
  ];
  if (tls !== undefined) {
    const certificate = writeFor(undefined, join(folder, 'proxy.crt'), tls.certificate);
    const key = writeFor(undefined, join(folder, 'proxy.key'), tls.key);
    args.push('--tls-certificate', certificate, '--tls-key', key);
  }
  const program = new RunningProgram(PROGRAM, ['proxy', ...args], { cwd: folder });
  await program.untilListening(HOST, port);
  return {
    name: 'matriarch',
    title: 'Matriarch’s proxy',
    host: HOST,
    port,
    metricsUrl: `http://${HOST}:${metricsPort}/metrics`,
    pids: () => [program.pid],
    get said() {
      return program.said;
    },
    end: () => program.end(),
  };
}
