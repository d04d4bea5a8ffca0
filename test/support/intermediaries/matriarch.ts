import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePorts } from '../patroni-ports.ts';
import { HOST, writeFor } from '../plain-server.ts';
import { RunningProgram } from '../running-program.ts';
import type { Intermediary, IntermediaryOptions } from './intermediary.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'bin', 'matriarch');

/** The proxy as people start it by hand. */
export async function startMatriarchProxy({ server, folder, tls, serversPerPool = 20 }: IntermediaryOptions): Promise<Intermediary> {
  mkdirSync(folder, { mode: 0o700 });
  const passwords = writeFor(undefined, join(folder, 'password'), `${server.superuser.password}\n`);
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const configuration = {
    source: { kind: 'servers', servers: [`${server.host}:${server.port}`], user: server.superuser.user, passwordFile: passwords },
    listen: { host: HOST, port },
    metrics: { host: HOST, port: metricsPort },
    limits: { serversPerPool, servers: 2 * serversPerPool },
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certificateFile: writeFor(undefined, join(folder, 'proxy.crt'), tls.certificate),
            keyFile: writeFor(undefined, join(folder, 'proxy.key'), tls.key),
          },
        }),
  };
  const file = writeFor(undefined, join(folder, 'proxy.yaml'), stringify(configuration));
  const program = new RunningProgram(PROGRAM, ['proxy', '--config', file], { cwd: folder });
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
