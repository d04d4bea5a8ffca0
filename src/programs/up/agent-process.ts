import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { entryFile } from '#adapters/process/entry-file.ts';
import { isAlive, type ProcessIdentity, startTimeOf } from '#adapters/process/processes.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import { AGENT_MAIN, AGENT_NODE_OPTIONS } from '#programs/agent/agent-command.ts';

const WARM_MAIN = fileURLToPath(entryFile(import.meta.url, '../up/warm-main'));
const WARM_TIMEOUT_MS = 10_000;
/** An adopted agent is nobody's child here, so its end is looked for. */
const LOOK_EVERY_MS = 200;

/** A running agent, started here or found running. */
export interface AgentProcess extends ProcessIdentity {
  /** Resolves when it is gone, with what is known of its end. */
  readonly ended: Promise<string>;
}

/** Before the first agents of a checkout or a new version start. That it fails costs memory and nothing else. */
export async function warmCompileCache(): Promise<void> {
  // The agent's own entry file can only be loaded by running it; without a configuration it ends at once.
  const runs = [[WARM_MAIN], [AGENT_MAIN, '--config', '/dev/null/none']];
  await Promise.all(
    runs.map(async (args) => {
      const child = spawn(process.execPath, [...AGENT_NODE_OPTIONS, ...args], { stdio: 'ignore', timeout: WARM_TIMEOUT_MS });
      await Promise.race([once(child, 'exit'), once(child, 'error')]).catch(() => {});
    }),
  );
}

/**
 * Starts the agent of a member in a session of its own, so that it can be killed alone and outlives this process; what it prints goes
 * to its log. Variables of libpq stay behind: they would redirect the agent's own tools. `prefix`: a command that executes another
 * one in its place, such as `ip netns exec NAME`.
 */
export function startAgent(memberDir: string, prefix: readonly string[] = []): AgentProcess {
  const paths = memberPaths(memberDir);
  const log = openSync(paths.agentLog, 'a', 0o600);
  try {
    const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
    const [program = process.execPath, ...args] = [
      ...prefix,
      process.execPath,
      ...AGENT_NODE_OPTIONS,
      AGENT_MAIN,
      '--config',
      paths.config,
    ];
    const child = spawn(program, args, {
      cwd: memberDir,
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...environment, MALLOC_ARENA_MAX: '1' },
    });
    const ended = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    });
    child.unref();
    const pid = child.pid ?? 0;
    return { pid, startTime: startTimeOf(pid) ?? 0, ended };
  } finally {
    closeSync(log);
  }
}

/** Takes charge of an agent that an earlier supervisor left running; undefined when it does not run any more. */
export function adoptAgent(known: ProcessIdentity | undefined): AgentProcess | undefined {
  if (known === undefined || !isAlive(known.pid, known.startTime)) return undefined;
  return { ...known, ended: untilGone(known) };
}

async function untilGone({ pid, startTime }: ProcessIdentity): Promise<string> {
  while (isAlive(pid, startTime)) await sleep(LOOK_EVERY_MS, undefined, { ref: false });
  return 'it ended';
}
