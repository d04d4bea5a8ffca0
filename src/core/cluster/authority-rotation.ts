import type { KeyPair } from './cluster-secrets.ts';

/**
 * How far the change to a new authority has come. `trust`: everybody trusts both. `issue`: the new one issues. `withdraw`: the old one is
 * trusted no more. Each is safe to stay in, and safe beside the one before and the one after.
 */
export const STAGES = ['trust', 'issue', 'withdraw'] as const;
export type Stage = (typeof STAGES)[number];

export interface AuthorityChange {
  readonly stage: Stage;
  readonly next: KeyPair;
  /** When the stage began, in milliseconds of the epoch. */
  readonly since: number;
}

export interface AuthorityState {
  readonly authority: KeyPair;
  /** The `tls.rotation` that the last change began for. */
  readonly rotation: number;
  readonly change: AuthorityChange | null;
}

/** Members tell what they use. Proxies and clients do not: the files reach their pods within two minutes (kubelet's period and its cache). */
const REST_MS = 600_000;

/** Who issues now, and whom everybody trusts (PEM). */
export function trustOf({ authority, change }: AuthorityState): { readonly issuer: KeyPair; readonly bundle: string } {
  if (change === null) return { issuer: authority, bundle: authority.certificate };
  const { stage, next } = change;
  const both = `${authority.certificate}${next.certificate}`;
  if (stage === 'trust') return { issuer: authority, bundle: both };
  return { issuer: next, bundle: stage === 'issue' ? both : next.certificate };
}

/** `now`: in milliseconds of the epoch. */
export function beginChange(state: AuthorityState, next: KeyPair, rotation: number, now: number): AuthorityState {
  return { ...state, rotation, change: { stage: 'trust', next, since: now } };
}

interface AuthorityStep {
  readonly state: AuthorityState;
  /** Null: no change is under way any more. */
  readonly waitingFor: string | null;
}

/** The next stage, once every member uses the files of this one and everybody else has had the time to. `now`: in milliseconds of the epoch. */
export function nextStage(state: AuthorityState, late: readonly string[], now: number): AuthorityStep {
  const { change } = state;
  if (change === null) return { state, waitingFor: null };
  const at = STAGES.indexOf(change.stage);
  const what = `stage ${at + 1} of ${STAGES.length} of the new authority`;
  if (late.length > 0) return { state, waitingFor: `${what}: ${late.join(', ')} to use the new files` };
  const leftMs = change.since + REST_MS - now;
  if (leftMs > 0) return { state, waitingFor: `${what}: proxies and clients to have the new files` };
  const stage = STAGES[at + 1];
  if (stage === undefined) return { state: { ...state, authority: change.next, change: null }, waitingFor: null };
  return {
    state: { ...state, change: { ...change, stage, since: now } },
    waitingFor: `stage ${at + 2} of ${STAGES.length} of the new authority`,
  };
}
