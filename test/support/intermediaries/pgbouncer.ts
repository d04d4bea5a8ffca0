import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../patroni-ports.ts';
import { giveTo, HOST, writeFor } from '../plain-server.ts';
import { RunningProgram } from '../running-program.ts';
import type { Intermediary, IntermediaryOptions } from './intermediary.ts';

const PROGRAM = '/usr/sbin/pgbouncer';

/** Debian's pgbouncer in transaction mode, with the verifiers of the server's roles. */
export async function startPgbouncer(options: IntermediaryOptions): Promise<Intermediary> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: sh scripts/prepare-bench.sh`);
  const { server, folder } = options;
  const { owner } = server;
  mkdirSync(folder, { mode: 0o700 });
  giveTo(owner, folder);
  const roles = await server.sql('SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL');
  const users = writeFor(
    owner,
    join(folder, 'userlist.txt'),
    roles.map(({ rolname, rolpassword }) => `"${rolname}" "${rolpassword}"\n`).join(''),
  );
  const [port = 0] = await freePorts(1);
  const config = writeFor(owner, join(folder, 'pgbouncer.ini'), render(options, users, port));
  const program = new RunningProgram(PROGRAM, [config], { cwd: folder, owner, endSignal: 'SIGINT' });
  await program.untilListening(HOST, port);
  const version = execFileSync(PROGRAM, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
  return {
    name: 'pgbouncer',
    title: `${version}, pool_mode=transaction`,
    host: HOST,
    port,
    pids: () => [program.pid],
    get said() {
      return program.said;
    },
    end: () => program.end(),
  };
}

function render({ server, folder, clients, serversPerPool = 20, tls }: IntermediaryOptions, users: string, port: number): string {
  const lines = [
    '[databases]',
    `* = host=${server.host} port=${server.port}`,
    '[pgbouncer]',
    `listen_addr = ${HOST}`,
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    `max_client_conn = ${clients + 10}`,
    `default_pool_size = ${serversPerPool}`,
    // What pg_regress and the drivers send; without it they could not even log in.
    'ignore_startup_parameters = extra_float_digits, options, intervalstyle, timezone, datestyle',
    'log_connections = 0',
    'log_disconnections = 0',
    'server_reset_query_always = 0',
  ];
  if (tls !== undefined) {
    const file = (name: string, text: string) => writeFor(server.owner, join(folder, name), text);
    lines.push(
      'client_tls_sslmode = require',
      `client_tls_cert_file = ${file('proxy.crt', tls.certificate)}`,
      `client_tls_key_file = ${file('proxy.key', tls.key)}`,
      'server_tls_sslmode = require',
    );
  }
  return `${lines.join('\n')}\n`;
}
