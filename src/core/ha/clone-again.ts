import type { Turn } from './turn.ts';

const PAUSE_MS = 10_000;
const PAUSE_MAX_MS = 300_000;

/** A clone that did not help is repeated, but not again and again: the pause doubles until the member has streamed. */
export function mayCloneAgain(turn: Turn): boolean {
  const { clonedAt, clonesInVain } = turn.state;
  return turn.now - clonedAt > Math.min(PAUSE_MAX_MS, PAUSE_MS * 2 ** clonesInVain);
}
