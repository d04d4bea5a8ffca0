import { fail, MatriarchError } from '#domain/errors.ts';
import { parseLsn } from '#domain/lsn.ts';
import { comparePositions } from '#domain/position.ts';
import type { AgentStatus } from '#domain/status.ts';
import { askAnyone, askEveryone, askMember, leaderOf, running } from './ask.ts';
import { type Cluster, memberNamed } from './cluster.ts';
import { confirm } from './confirm.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { waiting } from './waiting.ts';

/** Longer than every bound that the agents put to it themselves: draining, stopping, handing over. */
const REQUEST_TIMEOUT_MS = 120_000;
/** A clone takes as long as the data are large; its end is awaited by `status`, not here. */
const ACCEPT_TIMEOUT_MS = 30_000;

async function request(
  cluster: Cluster,
  member: string,
  path: string,
  body: unknown,
  what: string,
  timeoutMs = REQUEST_TIMEOUT_MS,
) {
  const answer = await waiting(what, askMember(cluster, member, 'POST', path, { body, timeoutMs }));
  const { text } = (answer ?? {}) as { readonly text?: string };
  process.stdout.write(`${text ?? 'Done.'}\n`);
}

export async function switchover({ to, ...where }: Where & { readonly to?: string }): Promise<void> {
  const cluster = await openCluster(where);
  if (to !== undefined) memberNamed(cluster, to);
  const statuses = running(cluster, await askEveryone(cluster));
  const leader = leaderOf(statuses);
  if (leader === undefined)
    fail('cluster.noLeader', 'there is no leader to take the lead from; `matriarch failover` has another member lead');
  if (to === leader) fail('request.refused', `${to} leads already`);
  await request(cluster, leader, '/switchover', to === undefined ? {} : { to }, `handing over from ${leader}`);
}

/**
 * While the leader serves, a failover is a switchover: nothing is lost and nobody waits. Only where that is refused, and the person has
 * said that losses are accepted, does the candidate go its own way.
 */
export async function failover(
  options: Where & { readonly to?: string; readonly allowDataLoss?: boolean; readonly yes?: boolean },
): Promise<void> {
  const cluster = await openCluster(options);
  if (options.to !== undefined) memberNamed(cluster, options.to);
  const statuses = running(cluster, await askEveryone(cluster));
  const leader = leaderOf(statuses);
  const serves = statuses.some(({ self }) => self.name === leader && self.role === 'primary');
  if (options.to !== undefined && options.to === leader && serves) fail('request.refused', `${options.to} leads already`);
  const candidate = options.to ?? bestPlaced(statuses) ?? fail('cluster.noLeader', 'no member but the leader answers');
  const allowDataLoss = options.allowDataLoss === true;
  if (allowDataLoss && process.stdin.isTTY)
    await confirm(`Have ${candidate} lead even if acknowledged transactions are lost?`, options.yes);
  if (leader !== undefined && serves) {
    try {
      return await request(cluster, leader, '/switchover', { to: candidate }, `handing over from ${leader} to ${candidate}`);
    } catch (error) {
      if (!(allowDataLoss && error instanceof MatriarchError && error.code === 'request.refused')) throw error;
    }
  }
  await request(cluster, candidate, '/failover', { allowDataLoss }, `failing over to ${candidate}`);
}

/** Whom to ask when nobody was named: of those that may lead and do not, the farthest, then the preferred. It judges for itself. */
function bestPlaced(statuses: readonly AgentStatus[]): string | undefined {
  const leader = leaderOf(statuses);
  const tagsOf = (name: string) => statuses.flatMap(({ members }) => members).find((member) => member.name === name)?.tags;
  return statuses
    .map(({ self }) => ({
      name: self.name,
      position: { timeline: self.timeline, lsn: parseLsn(self.lsn) ?? 0n },
      tags: tagsOf(self.name),
    }))
    .filter(({ name, tags }) => name !== leader && tags?.nofailover !== true)
    .sort((a, b) => comparePositions(b.position, a.position) || (b.tags?.priority ?? 0) - (a.tags?.priority ?? 0))[0]?.name;
}

export async function restart(name: string, where: Where): Promise<void> {
  const cluster = await openCluster(where);
  memberNamed(cluster, name);
  await request(cluster, name, '/restart', {}, `restarting the PostgreSQL of ${name}`);
}

export async function reinit(name: string, { yes, ...where }: Where & { readonly yes?: boolean }): Promise<void> {
  const cluster = await openCluster(where);
  memberNamed(cluster, name);
  if (process.stdin.isTTY) await confirm(`Throw the data of ${name} away and clone it anew from the leader?`, yes);
  await request(cluster, name, '/reinit', {}, `cloning ${name} anew`, ACCEPT_TIMEOUT_MS);
}

export async function pause(where: Where): Promise<void> {
  await askAnyone(await openCluster(where), 'POST', '/pause');
  process.stdout.write('Paused: no automatic failover, restart, rewind or clone until `matriarch resume`.\n');
}

export async function resume(where: Where): Promise<void> {
  await askAnyone(await openCluster(where), 'POST', '/resume');
  process.stdout.write('Resumed.\n');
}
