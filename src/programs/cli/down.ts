import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, kill } from '#adapters/process/processes.ts';
import { fail } from '#domain/errors.ts';
import { adoptAgent } from '#programs/up/agent-process.ts';
import { AgentRegistry } from '#programs/up/agent-registry.ts';
import { PROXY } from '#programs/up/proxy-process.ts';
import { purgeCluster } from '#programs/up/purge-cluster.ts';
import { stopCluster } from '#programs/up/stop-cluster.ts';
import { readHolder, SupervisorLock } from '#programs/up/supervisor-lock.ts';
import { type FolderCluster, openFolder } from './cluster-folder.ts';
import { confirm } from './confirm.ts';
import { waiting } from './waiting.ts';

const SUPERVISOR_END_MS = 180_000;
const LOOK_EVERY_MS = 50;

interface DownOptions {
  readonly dir?: string;
  readonly purge?: boolean;
  readonly yes?: boolean;
}

/** Ends the cluster; one that does not run is none of an error. */
export async function down(options: DownOptions): Promise<void> {
  const cluster = await openFolder(options.dir);
  const { cluster: name } = cluster.description;
  // `--purge` is said on purpose; a person at a terminal is asked all the same, since what is gone is gone.
  if (options.purge === true && process.stdin.isTTY)
    await confirm(`Delete ${cluster.paths.dir} with all data of ${name}?`, options.yes);
  await waiting(`ending ${name}: standbys first, the primary last`, endSupervisor(cluster));
  const lock = await SupervisorLock.take(cluster.paths.lock, cluster.paths.lockHolder);
  try {
    await stopCluster(cluster, running(cluster), (member, text) => process.stderr.write(`${member}: ${text}\n`));
    if (options.purge === true) await purgeCluster(cluster);
  } finally {
    lock.release();
  }
  process.stdout.write(options.purge === true ? `${name} has ended; ${cluster.paths.dir} is deleted.\n` : `${name} has ended.\n`);
}

/** The supervisor ends the agents itself; they are only ended from here when there is none. */
async function endSupervisor({ paths }: FolderCluster): Promise<void> {
  const holder = readHolder(paths.lockHolder);
  if (holder === undefined) return;
  kill(holder.pid, 'SIGTERM');
  const deadline = performance.now() + SUPERVISOR_END_MS;
  while (isAlive(holder.pid, holder.startTime)) {
    if (performance.now() > deadline) fail('request.timeout', `the supervisor, process ${holder.pid}, has not ended yet`);
    await sleep(LOOK_EVERY_MS);
  }
}

function running(cluster: FolderCluster) {
  const registry = new AgentRegistry(cluster.paths.agents);
  const agents = new Map(
    cluster.description.members.flatMap(({ name }) => {
      const agent = adoptAgent(registry.get(name));
      return agent === undefined ? [] : [[name, agent] as const];
    }),
  );
  return { agents, proxy: adoptAgent(registry.get(PROXY)) };
}
