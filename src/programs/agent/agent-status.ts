import type { HaState } from '#core/ha/state.ts';
import { formatLsn, type Lsn } from '#domain/lsn.ts';
import type { AgentStatus, TlsSummary } from '#domain/status.ts';

/** What the program knows beside the core's state. */
export interface Surroundings {
  readonly cluster: string;
  readonly api: string;
  readonly stateSince: string;
  readonly tls: TlsSummary;
  readonly progress: string | null;
  /** Did the last call to the store come to an answer? */
  readonly storeReachable: boolean;
  readonly agentPid: number;
  readonly guardPid: number | null;
  readonly postgresPid: number | null;
}

/** The answer to `GET /status`. */
export function agentStatus(state: HaState, around: Surroundings): AgentStatus {
  const server = state.server;
  const position = server !== null && 'position' in server ? server.position : { timeline: 0, lsn: 0n };
  const role = server?.state === 'primary' ? 'primary' : server?.state === 'standby' ? 'standby' : 'none';
  return {
    cluster: around.cluster,
    systemIdentifier: state.identity?.systemIdentifier ?? null,
    self: {
      name: state.self.name,
      incarnation: state.incarnation,
      state: state.published?.state ?? 'stopped',
      role,
      promise: state.promise,
      timeline: position.timeline,
      lsn: formatLsn(position.lsn),
      reason: state.published?.reason ?? '',
      since: around.stateSince,
      api: around.api,
      host: state.self.host,
      port: state.self.port,
      agentPid: around.agentPid,
      guardPid: around.guardPid,
      postgresPid: around.postgresPid,
      progress: around.progress,
      tls: around.tls,
    },
    paused: state.config.paused,
    durabilityMode: state.config.durability,
    leader: state.record?.value ?? null,
    storeReachable: around.storeReachable,
    members: Object.values(state.members),
    followers: followersOf(state),
  };
}

function followersOf(state: HaState): AgentStatus['followers'] {
  const server = state.server;
  if (server?.state !== 'primary') return [];
  return server.followers.map((follower) => ({
    incarnation: follower.incarnation,
    lagBytes: lagBytes(server.position.lsn, follower.replayed),
    lagMs: Math.round(follower.silentMs),
    streaming: follower.streaming,
  }));
}

function lagBytes(leader: Lsn, follower: Lsn): number {
  return leader > follower ? Number(leader - follower) : 0;
}
