import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';

/** What is wrong, in one sentence; null when nothing is. */
export type Complaint = string | null;

/** Watches one invariant. It sees everything that happens, and looks at the world after every event. */
export interface Checker {
  /** H1…H13 */
  readonly invariant: string;
  happened?(happening: Happening, world: World): Complaint;
  /** After every event. */
  moment?(world: World): Complaint;
}
