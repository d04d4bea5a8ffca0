import type { HaState } from '#core/ha/state.ts';
import type { MemberState } from '#domain/member.ts';
import type { ServerJob } from '#domain/server.ts';

/** Patroni's names of what a server is doing, in the order of its numbers (`patroni_postgres_state`). */
export const PATRONI_STATES = [
  'initializing new cluster',
  'initdb failed',
  'running custom bootstrap script',
  'custom bootstrap failed',
  'creating replica',
  'running',
  'starting',
  'starting after custom bootstrap',
  'start failed',
  'restarting',
  'restart failed',
  'stopping',
  'stopped',
  'stop failed',
  'crashed',
] as const;
export type PatroniState = (typeof PATRONI_STATES)[number] | 'unknown';

const BY_JOB: Partial<Readonly<Record<ServerJob['kind'], PatroniState>>> = {
  bootstrap: 'initializing new cluster',
  clone: 'creating replica',
  rewind: 'stopped',
  startPrimary: 'starting',
  startStandby: 'starting',
  stop: 'stopping',
};

const BY_MEMBER: Readonly<Record<MemberState, PatroniState>> = {
  empty: 'stopped',
  bootstrapping: 'initializing new cluster',
  cloning: 'creating replica',
  rewinding: 'stopped',
  stopped: 'stopped',
  starting: 'starting',
  standby: 'running',
  streaming: 'running',
  electing: 'running',
  promoting: 'running',
  gated: 'running',
  primary: 'running',
  stopping: 'stopping',
  failed: 'start failed',
};

/** Of this member's own server. `unknown`: it runs and does not answer, as Patroni says it. */
export function patroniState(state: HaState): PatroniState {
  const { server, job, role, published } = state;
  if (state.restarting !== null && server?.state !== 'standby') return 'restarting';
  if (role.kind === 'leader' && role.restarting !== null && role.phase !== 'serving') return 'restarting';
  const working = job === null ? undefined : BY_JOB[job.job.kind];
  if (working !== undefined) return working;
  switch (server?.state) {
    case 'primary':
    case 'standby':
      return 'running';
    case 'starting':
      return 'starting';
    case 'stuck':
      return 'unknown';
    case 'absent':
      return 'stopped';
    case 'stopped':
      if (published?.state === 'failed') return 'start failed';
      return server.clean ? 'stopped' : 'crashed';
    default:
      return stateOfMember(published?.state ?? 'empty');
  }
}

/** Of a member by what it publishes. */
export function stateOfMember(state: MemberState): PatroniState {
  return BY_MEMBER[state];
}
