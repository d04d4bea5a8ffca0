import { proofOf } from './proof.ts';
import type { HaState } from './state.ts';

/**
 * May whoever sends clients here believe at `now` that this member is the primary? It leads, lets them in, and its proof of leadership
 * is fresh (H6): one that was cut off, fenced, or slept through its proof says no before anybody else can lead.
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
