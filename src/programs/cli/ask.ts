import { callApi } from '#adapters/http/call-api.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { AgentStatus } from '#domain/status.ts';
import type { Cluster } from './cluster.ts';
import type { Answer } from './compose-status.ts';

/** An agent answers from memory; one that takes longer is frozen. */
const VIEW_TIMEOUT_MS = 2000;

export interface AskOptions {
  readonly body?: unknown;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Asks the agent of one member. Throws what the agent answers with, or `member.notRunning`. */
export async function askMember(
  cluster: Cluster,
  name: string,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  options: AskOptions = {},
): Promise<unknown> {
  try {
    const { json } = await callApi(await cluster.target(name), method, path, {
      timeoutMs: VIEW_TIMEOUT_MS,
      ...options,
    });
    return json;
  } catch (error) {
    if (error instanceof MatriarchError && error.code === 'agent.unreachable')
      throw new MatriarchError('member.notRunning', `${name}: ${describeSilence(error)}`, error);
    throw error;
  }
}

/** `connect ENOENT …/n1/api.sock` says less to most people than that nobody is there. */
function describeSilence(error: MatriarchError): string {
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'its agent does not run' : `its agent does not answer (${error.message})`;
}

/** Asks every member at once how it is, in the order of the members. Never throws for one that does not answer. */
export function askEveryone(cluster: Cluster): Promise<readonly Answer[]> {
  return Promise.all(
    cluster.members.map(async ({ name }): Promise<Answer> => {
      try {
        return { ok: true, status: (await askMember(cluster, name, 'GET', '/status')) as AgentStatus };
      } catch (error) {
        return { ok: false, why: (error as Error).message.replace(`${name}: `, '') };
      }
    }),
  );
}

/** The answers of the members whose agents run. Throws `cluster.notRunning` when there is none. */
export function running(cluster: Cluster, answers: readonly Answer[]): AgentStatus[] {
  const found = answers.flatMap((answer) => (answer.ok ? [answer.status] : []));
  if (found.length === 0) fail('cluster.notRunning', `none of the ${answers.length} agents of ${cluster.name} answers`);
  return found;
}

/** The member that the newest leader record names, if its agent answers; else undefined. */
export function leaderOf(statuses: readonly AgentStatus[]): string | undefined {
  const newest = statuses.toSorted((a, b) => (b.leader?.epoch ?? -1) - (a.leader?.epoch ?? -1))[0];
  const leader = newest?.leader?.member;
  return statuses.some((status) => status.self.name === leader) ? leader : undefined;
}

/** Asks for something that every agent knows: of the leader, or of whoever answers. */
export async function askAnyone(
  cluster: Cluster,
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  options: AskOptions = {},
): Promise<unknown> {
  const statuses = running(cluster, await askEveryone(cluster));
  return askMember(cluster, leaderOf(statuses) ?? statuses[0]?.self.name ?? '', method, path, options);
}
