import { PIN } from '#core/pool/pins.ts';
import { PROBED, type Traces, UNPINNING } from '#core/pool/probe.ts';
import { ANY_EFFECT, EFFECT } from '#sql/effects.ts';
import type { StatementFacts } from '#sql/read-statement.ts';

/** What the texts of a session's present transaction may have done to it. */
export class SessionTraces implements Traces {
  effects = 0;
  settings: Set<string> = NONE;
  allSettings = false;
  /** Channels that UNLISTEN named, applied when the transaction has committed. */
  unlisten: Set<string> | 'all' | null = null;
  /** Something that may have a commit record of its own. */
  wrote = false;
  /** RESET may have taken the session's own application_name away. */
  resetsName = false;
  unsure = false;
  /** RESET ALL or DISCARD ALL, by itself. */
  resetsAll = false;
  /** What not even a rollback takes back: statements of PREPARE, and locks of the session. */
  outlasts = false;

  add(facts: StatementFacts): void {
    // A text with two readings is probed; that it loads a library is the least likely of them.
    this.effects |= facts.effects === ANY_EFFECT ? ANY_EFFECT & ~UNPROBED : facts.effects & ~EFFECT.unshared;
    this.wrote ||= (facts.effects & EFFECT.writes) !== 0 && (facts.statements !== 1 || !WITHOUT_COMMIT.has(facts.command));
    if ((facts.effects & SPECIAL) === 0) return;
    if (facts.settings.length > 0) {
      if (this.settings === NONE) this.settings = new Set();
      for (const name of facts.settings) this.settings.add(name);
    }
    this.allSettings ||= facts.allSettings;
    if (facts.command === 'reset') this.resetsName ||= facts.allSettings || facts.settings.includes('application_name');
    if (facts.unlisten === 'all') this.unlisten = 'all';
    else if (facts.unlisten !== null && this.unlisten !== 'all') {
      this.unlisten ??= new Set();
      for (const channel of facts.unlisten) this.unlisten.add(channel);
    }
    this.unsure ||= facts.statements !== 1 || (facts.command !== 'set' && facts.command !== 'select');
    this.resetsAll = facts.statements === 1 && facts.allSettings && (facts.command === 'reset' || facts.command === 'discard');
    // To a savepoint as well: what came before that may stay, and is heard on.
    if ((facts.effects & EFFECT.rollsBack) !== 0) this.unlisten = null;
  }

  /** The server has to be asked before anybody else gets the connection. */
  isProbeDue(pins: number): boolean {
    // A statement_timeout of the session's own may have cut the last probe off.
    if ((pins & PIN.unreadable) !== 0) return true;
    return (this.effects & (pins === 0 ? PROBED : PROBED | UNPINNING)) !== 0;
  }

  /** An error came: what was named may not be so. */
  failed(): void {
    this.unsure = true;
    this.unlisten = null;
  }

  take(): SessionTraces {
    const taken = new SessionTraces();
    Object.assign(taken, this);
    this.clear();
    return taken;
  }

  clear(): void {
    this.effects = 0;
    this.settings = NONE;
    this.allSettings = false;
    this.unlisten = null;
    this.wrote = false;
    this.resetsName = false;
    this.unsure = false;
    this.resetsAll = false;
    this.outlasts = false;
  }
}

/** Commands that write nothing; COMMIT and ROLLBACK may be of a prepared transaction. */
const WITHOUT_COMMIT: ReadonlySet<string> = new Set([
  ...['set', 'reset', 'show', 'begin', 'start', 'savepoint', 'release', 'discard', 'deallocate', 'listen', 'unlisten'],
  ...['fetch', 'move', 'close'],
]);

const UNPROBED = EFFECT.library | EFFECT.seed | EFFECT.backend | EFFECT.currval | EFFECT.unnamed | EFFECT.unshared;
const NONE: Set<string> = new Set();
const SPECIAL = PROBED | EFFECT.unlisten | EFFECT.rollsBack | EFFECT.ends;
