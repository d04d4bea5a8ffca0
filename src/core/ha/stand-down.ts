import type { Turn } from './turn.ts';

const RETRY_MS = 300;

/** Gives up a candidacy; stands again after a pause that differs between members. */
export function standDown(turn: Turn, why: string, pauseMs = RETRY_MS): void {
  const { state } = turn;
  if (state.role.kind !== 'candidate') return;
  if (state.role.commandId !== null) turn.answer(state.role.commandId, false, why);
  state.role = { kind: 'member' };
  state.standBackUntil = turn.now + pauseMs * (0.5 + turn.random());
  state.standWhy = why;
  turn.say('step 4', `stands back: ${why}`);
}
