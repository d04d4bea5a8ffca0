import { spawn } from 'node:child_process';
import { AGENT_MAIN, AGENT_NODE_OPTIONS } from '#programs/agent/agent-command.ts';

export interface RunningAgent {
  readonly pid: number;
  /** Resolves when it is gone, with what is known of its end. */
  readonly ended: Promise<string>;
}

/**
 * Starts the agent in a session of its own, with the output of this process. Variables of libpq stay behind: they would redirect its
 * tools.
 */
export function startAgent(config: string, cwd: string): RunningAgent {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
  const child = spawn(process.execPath, [...AGENT_NODE_OPTIONS, AGENT_MAIN, '--config', config], {
    cwd,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...env, MALLOC_ARENA_MAX: '1' },
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  return { pid: child.pid ?? 0, ended };
}
