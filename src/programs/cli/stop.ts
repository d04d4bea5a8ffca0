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
/** The last breath of an agent may be a broken connection; one that has really refused is still there a moment later. */
const LAST_BREATH_MS = 1000;

type Say = (text: string) => void;

/**
 * Ends the member on this machine. Errors: `config.…`, `request.refused` with the reason of the agent, `request.timeout`,
 * `agent.unreachable` for one that runs and is silent. A member that does not run is none of an error; a server that an agent left
 * behind is stopped too.
 */
export async function stop(options: { readonly config: string }): Promise<void> {
  const { name, memberDir } = await readMemberConfig(options.config);
  const paths = memberPaths(memberDir);
  const say: Say = (text) => process.stderr.write(`${name}: ${text}\n`);
  const before = await look(paths.socket);
  const leader = before === undefined ? undefined : await endAgent(paths.socket, before, say);
  await stopServer(paths.data, name, (_, text) => say(text));
  process.stdout.write(`${before === undefined ? `${name} does not run.` : describeEnd(before, leader)}\n`);
}

function describeEnd({ self: { name }, leader }: AgentStatus, successor: string | undefined): string {
  if (leader?.member !== name) return `${name} has ended.`;
  if (successor !== name) return `${name} has ended; ${successor} leads.`;
  return `${name} has ended. Nobody could take the lead over: the cluster waits for it, or for what \`matriarch explain\` on another member says.`;
}

/** Resolves with whom the agent last knew as the leader. */
async function endAgent(socketPath: string, before: AgentStatus, say: Say): Promise<string | undefined> {
  const { agentPid, name } = before.self;
  const startTime = startTimeOf(agentPid);
  const led = before.leader?.member === name;
  let leader = before.leader?.member;
  let state: string = before.self.state;
  let refusal: unknown;
  callApi({ socketPath }, 'POST', '/shutdown', { body: { handOver: true }, timeoutMs: END_MS }).catch(async (error: unknown) => {
    await sleep(LAST_BREATH_MS);
    refusal = error;
  });
  say(led ? 'hands the lead over and stops' : 'stops');
  const deadline = performance.now() + END_MS;
  while (startTime !== undefined && isAlive(agentPid, startTime)) {
    if (refusal !== undefined) throw refusal;
    if (performance.now() > deadline) fail('request.timeout', `${name} has not ended after ${END_MS / 1000} s`);
    const status = await look(socketPath).catch(() => undefined);
    if (led && status?.leader != null && status.leader.member !== leader)
      say(`${status.leader.member} leads epoch ${status.leader.epoch}`);
    if (status !== undefined && status.self.state !== state) say(status.self.state);
    leader = status?.leader?.member ?? leader;
    state = status?.self.state ?? state;
    await sleep(LOOK_EVERY_MS);
  }
  return leader;
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
