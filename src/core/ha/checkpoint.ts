import type { Turn } from './turn.ts';

/** Runs beside the exclusive jobs. */
export function startCheckpoint(turn: Turn): void {
  turn.state.checkpointAt = turn.now;
  const id = turn.state.nextId++;
  turn.state.checkpointing = id;
  turn.state.checkpointResult = null;
  turn.do({ kind: 'job', id, job: { kind: 'checkpoint' } });
}
