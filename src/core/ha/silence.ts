import type { Turn } from './turn.ts';

/** An observation older than this says nothing about a leader's silence. */
const FRESH_VIEW_MS = 150;

export type Silence = 'silent' | 'heard' | 'unknown';

/**
 * May this member promise against the leader? Only when the leader gave up, or neither a heartbeat nor a walreceiver message came for
 * max(suspectAfter, 1.1 × the leader's fence). Both must be silent: a leader whose agent is being restarted still streams.
 */
export function leaderSilence(turn: Turn): Silence {
  const { state, now } = turn;
  const { suspectAfterMs } = state.config.timings;
  const fenceMs = state.leaderSeen?.heartbeat.fenceMs ?? state.config.timings.fenceMs;
  const quietMs = Math.max(suspectAfterMs, 1.1 * fenceMs);
  const led = Math.max(state.record?.value?.epoch ?? 0, state.leaderSeen?.heartbeat.epoch ?? 0);
  if (led > 0 && state.gaveUp >= led) return 'silent';
  if (now - state.heartbeatAt < quietMs) return 'heard';
  if (state.server === null || now - state.serverAt > FRESH_VIEW_MS) return 'unknown';
  // Beyond the lease the guard has ended any server whose agent is silent: what still streams is no leader's, but some standby's.
  const guarded = now - state.heartbeatAt < state.config.timings.leaseMs + quietMs;
  if (guarded && state.server.state === 'standby' && state.server.upstreamSilentMs < quietMs) return 'heard';
  return 'silent';
}
