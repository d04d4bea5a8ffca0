import type { MemberState } from '#domain/member.ts';
import { foreignData } from './foreign-data.ts';
import { currentPosition } from './granting.ts';
import type { Leader } from './state.ts';
import type { Turn } from './turn.ts';

const LONG_JOB_MS = 5000;

/** Publishes what this member is when that changes, and once in a while (H11: every member's position advances, or it says why not). */
export function publish(turn: Turn): void {
  const { state, now } = turn;
  const memberState = nameState(turn);
  const reason = explainState(turn);
  const known = state.published;
  const same =
    known !== null && known.state === memberState && known.reason === reason && known.incarnation === state.incarnation;
  if (same && now - known.at < state.self.publishEveryMs) return;
  state.published = { state: memberState, reason, incarnation: state.incarnation, at: now };
  turn.do({ kind: 'publish', state: memberState, position: currentPosition(turn), reason });
}

function nameState(turn: Turn): MemberState {
  const { state } = turn;
  const job = state.job?.job.kind;
  if (job === 'bootstrap') return 'bootstrapping';
  if (job === 'clone') return 'cloning';
  if (job === 'rewind') return 'rewinding';
  if (job === 'promote') return 'promoting';
  if (job === 'stop') return 'stopping';
  if (job === 'startPrimary' || job === 'startStandby') return 'starting';
  if (state.role.kind === 'candidate') return 'electing';
  if (state.role.kind === 'leader') return leaderState(state.role);
  switch (state.server?.state) {
    case 'absent':
      return 'empty';
    case 'stopped':
      return state.jobFailures > 2 || foreignData(turn) !== null ? 'failed' : 'stopped';
    case 'starting':
      return 'starting';
    case 'standby':
      return state.server.streaming ? 'streaming' : 'standby';
    case 'primary':
      return 'stopping';
    case 'stuck':
      return 'failed';
    default:
      return state.published?.state ?? 'empty';
  }
}

function leaderState({ phase, fenced }: Leader): MemberState {
  if (phase === 'serving') return fenced ? 'gated' : 'primary';
  if (phase === 'gating') return 'gated';
  if (phase === 'preparing') return 'promoting';
  return 'stopping';
}

function explainState(turn: Turn): string {
  const { state } = turn;
  if (state.persistFailedAt > -Infinity) return 'its promise cannot be written to disk';
  if (state.server?.state === 'standby' && state.server.stalled !== undefined)
    return `replay stands still: ${state.server.stalled}`;
  if (state.job !== null && turn.now - state.job.startedAt > LONG_JOB_MS) return `${state.job.job.kind} takes long`;
  return `${state.reason.rule}: ${state.reason.text}`;
}
