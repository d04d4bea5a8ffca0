import { proofOf } from './proof.ts';
import type { HaState } from './state.ts';

/**
 * May whoever sends clients here believe at `now` that this member is the primary? It leads, lets them in, and its proof of leadership
 * is fresh (H6). One that is cut off, or slept, says no when its last proof is `fenceMs` old, whether it has decided anything by then
 * or not; what happens there until then is acknowledged to nobody once somebody else leads.
 */
export function holdsLead(state: HaState, now: number): boolean {
  const { role, server } = state;
  const record = state.record?.value;
  if (role.kind !== 'leader' || role.fenced || record == null) return false;
  if (record.member !== state.self.name || record.incarnation !== state.incarnation || state.promise > role.epoch) return false;
  // The first part of a switchover is a checkpoint: clients are still let in.
  if (role.phase !== 'serving' && role.handover?.stage !== 'checkpoint') return false;
  // Not known for a moment after each job on it.
  if (server !== null && server.state !== 'stuck' && !(server.state === 'primary' && server.gateOpen)) return false;
  return now < proofOf({ state, now }, role, record).serveUntil;
}
