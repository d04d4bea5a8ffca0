import type { ConnectionUrls } from '#domain/config/cluster-description.ts';
import type { LeaderRecord } from '#domain/leader-record.ts';
import type { ProxyHealth } from '#domain/proxy-health.ts';
import type { AgentStatus } from '#domain/status.ts';
import type { MemberStatus, StatusDocument } from '#domain/status-document.ts';
import type { Cluster } from './cluster.ts';

/** What became of the question to one agent. */
export type Answer = { readonly ok: true; readonly status: AgentStatus } | { readonly ok: false; readonly why: string };

/** The member of an incarnation (`n1_4f2a…`): its name holds no underscore. */
export function memberOf(incarnation: string): string {
  const end = incarnation.lastIndexOf('_');
  return end < 0 ? incarnation : incarnation.slice(0, end);
}

function newest(answers: readonly Answer[]): { readonly record: LeaderRecord | null; readonly status: AgentStatus | undefined } {
  let best: AgentStatus | undefined;
  for (const answer of answers) {
    if (!answer.ok) continue;
    if (best === undefined || rank(answer.status) > rank(best)) best = answer.status;
  }
  return { record: best?.leader ?? null, status: best };
}

/** Whoever knows the highest epoch; of those the leader itself, which also knows of changes that the others have yet to hear of. */
function rank(status: AgentStatus): number {
  return status.leader === null ? -1 : status.leader.epoch * 2 + (status.leader.member === status.self.name ? 1 : 0);
}

/** One document out of what every agent answered, `answers` in the order of the cluster's members. */
export function composeStatus(
  cluster: Pick<Cluster, 'name' | 'members' | 'proxy'>,
  answers: readonly Answer[],
  connection: ConnectionUrls | undefined,
  health: ProxyHealth | undefined,
): StatusDocument {
  const { record, status } = newest(answers);
  const followers = answers.flatMap((answer) =>
    answer.ok && answer.status.self.name === record?.member ? answer.status.followers : [],
  );
  return {
    cluster: cluster.name,
    epoch: record?.epoch ?? null,
    leader: record?.member ?? null,
    paused: status?.paused ?? false,
    durability: {
      mode: status?.durabilityMode ?? null,
      k: record?.k ?? 0,
      sync: (record?.sync ?? []).map(memberOf).sort(),
      degradedSince: record?.degradedSince ?? null,
    },
    connection: {
      readWrite: connection?.readWrite ?? null,
      readOnly: connection?.readOnly ?? null,
      direct: connection?.direct ?? null,
    },
    proxy: cluster.proxy === null ? null : proxyStatus(cluster.proxy, health),
    members: cluster.members.map(({ name, host, port, api }, index): MemberStatus => {
      const address = { name, host, port, api };
      const answer = answers[index];
      if (answer === undefined || !answer.ok) return { ...UNREACHABLE, ...address, reason: answer?.why ?? 'it was not asked' };
      const { self } = answer.status;
      const follower = followers.find((one) => one.incarnation === self.incarnation && one.streaming);
      const leads = self.role === 'primary' && self.name === record?.member;
      return {
        ...address,
        role: self.role,
        state: self.state,
        timeline: self.timeline === 0 ? null : self.timeline,
        lsn: self.timeline === 0 ? null : self.lsn,
        lagBytes: leads ? 0 : (follower?.lagBytes ?? null),
        lagMs: leads ? 0 : (follower?.lagMs ?? null),
        agentPid: self.agentPid,
        guardPid: self.guardPid,
        postgresPid: self.postgresPid,
        since: self.since,
        reason: self.progress !== null && COPIES.includes(self.state) ? `${self.reason} (${self.progress})` : self.reason,
      };
    }),
  };
}

function proxyStatus({ host, port }: { readonly host: string; readonly port: number }, health: ProxyHealth | undefined) {
  return {
    host,
    port,
    state: health?.state ?? ('unreachable' as const),
    primary: health?.primary ?? null,
    clients: health?.clients ?? null,
    waiting: health?.waiting ?? null,
    servers: health?.servers ?? null,
    pid: health?.pid ?? null,
  };
}

/** The states in which a member copies data, and its progress is news. */
const COPIES: readonly string[] = ['bootstrapping', 'cloning', 'rewinding'];

const UNREACHABLE = {
  role: 'none',
  state: 'unreachable',
  timeline: null,
  lsn: null,
  lagBytes: null,
  lagMs: null,
  agentPid: null,
  guardPid: null,
  postgresPid: null,
  since: null,
} as const;
