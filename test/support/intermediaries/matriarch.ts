import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePorts } from '../patroni-ports.ts';
import { HOST, writeFor } from '../plain-server.ts';
import { RunningProgram } from '../running-program.ts';
import type { Intermediary, IntermediaryOptions } from './intermediary.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', '..', 'bin', 'matriarch');

/** The proxy as people run it, in front of a server without an agent. */
export async function startMatriarchProxy(options: IntermediaryOptions): Promise<Intermediary> {
  const { server, folder, clients, serversPerPool = 20, preparedPerServer, tls } = options;
  mkdirSync(folder, { mode: 0o700 });
  const file = (name: string, text: string) => writeFor(undefined, join(folder, name), text);
  const [port = 0, metricsPort = 0] = await freePorts(2);
  const config = {
    listen: { host: HOST, port },
    metrics: { host: HOST, port: metricsPort },
    limits: { clients: clients + 10, serversPerPool, ...(preparedPerServer && { preparedPerServer }) },
    log: { level: 'warn' },
    source: {
      kind: 'servers',
      servers: [`${server.host}:${server.port}`],
      user: server.superuser.user,
      passwordFile: file('password', `${server.superuser.password}\n`),
      tls: { mode: tls === undefined ? 'disable' : 'require' },
      // A crowded machine is no lost primary.
      connectMs: 5000,
      answerMs: 5000,
    },
    ...(tls && {
      tls: { mode: 'require', certificateFile: file('proxy.crt', tls.certificate), keyFile: file('proxy.key', tls.key) },
    }),
  };
  const program = new RunningProgram(PROGRAM, ['proxy', '--config', file('proxy.yaml', stringify(config))], {
    cwd: folder,
    endSignal: 'SIGINT',
  });
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
