/**
 * What a session has set on its server connection beyond how that was opened: settings by name, and the statements of SQL's PREPARE.
 * Interned: two sessions with the same state hold the same object, so that the hand-over of a connection compares pointers.
 */
export interface SessionState {
  /** By name, in order. `role` and `session_authorization` are settings too. */
  readonly settings: ReadonlyMap<string, string>;
  /** The whole text of each PREPARE by the name of its statement. */
  readonly prepared: ReadonlyMap<string, string>;
  readonly key: string;
}

export const EMPTY_STATE: SessionState = { settings: new Map(), prepared: new Map(), key: '' };

/** States in use at once; beyond that the oldest are interned again when they come back, which costs a comparison by key. */
const MAX_STATES = 4096;

export class SessionStates {
  readonly #known = new Map<string, SessionState>();

  intern(settings: ReadonlyMap<string, string>, prepared: ReadonlyMap<string, string>): SessionState {
    if (settings.size === 0 && prepared.size === 0) return EMPTY_STATE;
    const key = JSON.stringify([sorted(settings), sorted(prepared)]);
    const found = this.#known.get(key);
    if (found !== undefined) return found;
    const state: SessionState = { settings: new Map(sorted(settings)), prepared: new Map(sorted(prepared)), key };
    if (this.#known.size >= MAX_STATES) this.#known.delete(this.#known.keys().next().value as string);
    this.#known.set(key, state);
    return state;
  }
}

function sorted(map: ReadonlyMap<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

export function sameState(a: SessionState, b: SessionState): boolean {
  return a === b || a.key === b.key;
}
