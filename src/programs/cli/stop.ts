import { setTimeout as sleep } from 'node:timers/promises';
import { callApi } from '#adapters/http/call-api.ts';
import { isAlive, startTimeOf } from '#adapters/process/processes.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { AgentStatus } from '#domain/status.ts';
import { stopServer } from '#programs/up/stop-cluster.ts';
import { readMemberConfig } from './member-cluster.ts';

/** A checkpoint of much dirty memory, twice, then the handover and the end of the server. */
const END_MS = 180_000;
const LOOK_EVERY_MS = 100;
const LOOK_TIMEOUT_MS = 2000;

type Say = (text: string) => void;

/**
 * Ends the member on this machine. Errors: `config.…`, `request.timeout`, `agent.unreachable` for one that runs and is
 * silent. A member that does not run is none of an error; a server that an agent left
 * behind is stopped too.
 */
export async function stop(options: { readonly config: string }): Promise<void> {
  const { name, memberDir } = await readMemberConfig(options.config);
  const paths = memberPaths(memberDir);
  const say: Say = (text) => process.stderr.write(`${name}: ${text}\n`);
  const before = await look(paths.socket);
  const said = before === undefined ? '' : await endAgent(paths.socket, before, say);
  await stopServer(paths.data, name, (_, text) => say(text));
  process.stdout.write(`${before === undefined ? `${name} does not run.` : describeEnd(before, said)}\n`);
}

function describeEnd({ self: { name }, leader }: AgentStatus, said: string): string {
  if (leader?.member !== name) return `${name} has ended.`;
  if (said.includes(' leads epoch ')) return `${name} has ended; ${said}.`;
  return `${name} has ended. Nobody took the lead over: \`matriarch explain\` on another member says what that needs.`;
}

/** Resolves with what the agent answered. Once it was asked it ends, whether the lead can be handed over or not. */
async function endAgent(socketPath: string, before: AgentStatus, say: Say): Promise<string> {
  const { agentPid, name } = before.self;
  const startTime = startTimeOf(agentPid);
  let said = '';
  const asked = callApi({ socketPath }, 'POST', '/shutdown', { body: { handOver: true }, timeoutMs: END_MS }).then(
    ({ json }) => {
      said = String((json as { readonly text?: unknown }).text ?? '');
    },
    (error: unknown) => {
      // Its last breath may be a broken connection: its end is what counts.
      if (error instanceof MatriarchError && error.code === 'request.refused')
        say(`the lead could not be handed over: ${error.message}`);
    },
  );
  say(before.leader?.member === name ? 'hands the lead over and stops' : 'stops');
  const deadline = performance.now() + END_MS;
  let state: string = before.self.state;
  while (startTime !== undefined && isAlive(agentPid, startTime)) {
    if (performance.now() > deadline) fail('request.timeout', `${name} has not ended after ${END_MS / 1000} s`);
    const status = await look(socketPath).catch(() => undefined);
    if (status !== undefined && status.self.state !== state) say(status.self.state);
    state = status?.self.state ?? state;
    await sleep(LOOK_EVERY_MS);
  }
  await asked;
  return said;
}

/** Undefined when nobody listens. */
async function look(socketPath: string): Promise<AgentStatus | undefined> {
  try {
    return (await callApi({ socketPath }, 'GET', '/status', { timeoutMs: LOOK_TIMEOUT_MS })).json as AgentStatus;
  } catch (error) {
    const code = ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code;
    if (error instanceof MatriarchError && (code === 'ENOENT' || code === 'ECONNREFUSED')) return undefined;
    throw error;
  }
}
