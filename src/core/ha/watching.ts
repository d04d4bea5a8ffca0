import type { Turn } from './turn.ts';

const URGENT_MS = 30;
const ALERT_MS = 100;
const CALM_MS = 1000;
/** An answer that is overdue for so long will not come; the program gives `stuck` long before. */
const LOST_MS = 5000;

/** Looks at the server as often as what is going on demands, one look at a time. */
export function scheduleLook(turn: Turn): void {
  const { state, now } = turn;
  if (state.observing !== null && now - state.observing.sentAt < LOST_MS) return;
  if (state.job !== null) return;
  const dueAt = state.server === null && state.serverAt < now - 10 ? now : state.serverAt + intervalMs(turn);
  if (now < dueAt) return;
  state.observing = { sentAt: now, discard: false };
  turn.do({ kind: 'observe' });
}

function intervalMs(turn: Turn): number {
  const { state, now } = turn;
  const role = state.role;
  if (role.kind === 'candidate' || state.grant !== null) return URGENT_MS;
  if (role.kind === 'leader') {
    const record = state.record?.value;
    const moving = role.phase !== 'serving' || role.running === null || role.confirm !== null || role.forgetRequests.length > 0;
    const short = record != null && record.k === 0 && state.config.durability !== 'async';
    if (moving) return URGENT_MS;
    return short || role.shortSince !== null ? ALERT_MS : CALM_MS;
  }
  // That it streams is waited for: by its leader, which takes it into S, and by people.
  if (state.server?.state === 'stuck' || (state.server?.state === 'standby' && !state.server.streaming)) return ALERT_MS;
  return now - state.heartbeatAt > 2.5 * state.config.timings.heartbeatMs ? ALERT_MS : CALM_MS;
}
