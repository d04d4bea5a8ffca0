import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../patroni-ports.ts';
import { giveTo, HOST, writeFor } from '../plain-server.ts';
import { familyOf, RunningProgram } from '../running-program.ts';
import type { Intermediary, IntermediaryOptions } from './intermediary.ts';

const PROGRAM = '/usr/sbin/pgpool';

/** Debian's pgpool-II in front of one server: a child for each client, and nothing switched on that costs time. */
export async function startPgpool(options: IntermediaryOptions): Promise<Intermediary> {
  if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: sh scripts/prepare-bench.sh`);
  const { server, folder } = options;
  const { owner } = server;
  mkdirSync(folder, { mode: 0o700 });
  giveTo(owner, folder);
  const file = (name: string, text: string) => writeFor(owner, join(folder, name), text);
  file('pool_passwd', server.logins.map(({ user, password }) => `${user}:TEXT${password}\n`).join(''));
  const hba = file('pool_hba.conf', `${options.tls === undefined ? 'host' : 'hostssl'} all all 127.0.0.1/32 scram-sha-256\n`);
  const pcp = file('pcp.conf', '');
  const [port = 0, pcpPort = 0] = await freePorts(2);
  const config = file('pgpool.conf', render(options, file, port, pcpPort));
  const program = new RunningProgram(PROGRAM, ['-n', '-f', config, '-F', pcp, '-a', hba], {
    cwd: folder,
    owner,
    endSignal: 'SIGINT',
  });
  await program.untilListening(HOST, port);
  const version = spawnSync(PROGRAM, ['--version'], { encoding: 'utf8' }).stderr.trim();
  return {
    name: 'pgpool',
    title: `${version}, one backend, no load balancing`,
    host: HOST,
    port,
    pids: () => familyOf(program.pid, readdirSync('/proc').map(Number).filter(Number.isInteger)),
    get said() {
      return program.said;
    },
    end: () => program.end(),
  };
}

function render(
  { server, folder, clients, tls }: IntermediaryOptions,
  file: (name: string, text: string) => string,
  port: number,
  pcpPort: number,
): string {
  const lines = [
    // The mode for one server that nobody replicates: it has the least to do.
    "backend_clustering_mode = 'raw'",
    `listen_addresses = '${HOST}'`,
    `port = ${port}`,
    `pcp_listen_addresses = '${HOST}'`,
    `pcp_port = ${pcpPort}`,
    `unix_socket_directories = '${folder}'`,
    `pcp_socket_dir = '${folder}'`,
    `pid_file_name = '${join(folder, 'pgpool.pid')}'`,
    `logdir = '${folder}'`,
    `work_dir = '${folder}'`,
    `backend_hostname0 = '${server.host}'`,
    `backend_port0 = ${server.port}`,
    'backend_weight0 = 1',
    "backend_flag0 = 'DISALLOW_TO_FAILOVER'",
    'enable_pool_hba = on',
    "pool_passwd = 'pool_passwd'",
    `num_init_children = ${clients + 8}`,
    'max_pool = 2',
    'child_life_time = 0',
    'child_max_connections = 0',
    'connection_life_time = 0',
    'client_idle_limit = 0',
    'connection_cache = on',
    'load_balance_mode = off',
    'health_check_period = 0',
    'sr_check_period = 0',
    'memory_cache_enabled = off',
    "log_min_messages = 'error'",
    'serialize_accept = off',
    'listen_backlog_multiplier = 2',
  ];
  if (tls !== undefined) {
    lines.push('ssl = on', `ssl_cert = '${file('proxy.crt', tls.certificate)}'`, `ssl_key = '${file('proxy.key', tls.key)}'`);
  }
  return `${lines.join('\n')}\n`;
}
