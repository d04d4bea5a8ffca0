import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '#domain/errors.ts';
import type { AgentStatus } from '#domain/status.ts';
import { askAnyone, askMember } from './ask.ts';
import type { Cluster } from './cluster.ts';
import { memberOf } from './compose-status.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { waiting } from './waiting.ts';

const GONE_MS = 30_000;
const LOOK_EVERY_MS = 200;

/**
 * A member that will not come back: its replication slot, its place in the sync set and its right to lead go, and nobody looks for it any
 * more. Errors: `request.refused` while it runs, `member.unknown`, `request.timeout`.
 */
export async function forget(name: string, where: Where): Promise<void> {
  const cluster = await openCluster(where);
  if (cluster.members.some((member) => member.name === name) && (await answers(cluster, name)))
    fail('request.refused', `${name} runs: end it with \`matriarch stop\` on its machine first`);
  const asked = askAnyone(cluster, 'POST', '/forget', { body: { member: name }, timeoutMs: GONE_MS });
  await waiting(`listening whether ${name} is still there`, asked);
  await waiting(`waiting until nothing counts ${name}`, untilGone(cluster, name));
  process.stdout.write(`${name} has left: no commit waits for it, no WAL is kept for it, and it cannot lead.\n`);
}

async function answers(cluster: Cluster, name: string): Promise<boolean> {
  return askMember(cluster, name, 'GET', '/status').then(
    () => true,
    () => false,
  );
}

/** The leader tells: it changes the sync set by H4, step by step. */
async function untilGone(cluster: Cluster, name: string): Promise<void> {
  const deadline = performance.now() + GONE_MS;
  for (;;) {
    const { members, leader } = (await askAnyone(cluster, 'GET', '/status')) as AgentStatus;
    const counted = leader?.sync.some((incarnation) => memberOf(incarnation) === name) || leader?.eligible.includes(name);
    if (counted !== true && !members.some((member) => member.name === name)) return;
    if (performance.now() > deadline)
      fail('request.timeout', `the leader still counts ${name}; it lets go of it as soon as enough others confirm commits`);
    await sleep(LOOK_EVERY_MS);
  }
}
