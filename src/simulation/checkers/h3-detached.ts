import type { Happening } from '../journal.ts';
import type { Checker, Complaint } from './checker.ts';

/** H3, step 3: who answers with a promise serves no earlier leader any more: no primary, no walreceiver, no way to connect. */
export class DetachedBeforeAnswer implements Checker {
  readonly invariant = 'H3';

  happened(happening: Happening): Complaint {
    if (happening.kind !== 'sent' || (happening.message.kind !== 'promised' && happening.message.kind !== 'handover'))
      return null;
    const { name, server } = happening.from;
    // Whom a person promoted a moment ago writes on a timeline of its own, and for nobody.
    if (server === null || server.directory.byHand) return null;
    if (server.role === 'primary') return `${name} promises epoch ${happening.message.epoch} while its server is a primary`;
    const receives = server.walreceiver !== null || server.connecting || server.directory.passwordValid;
    return receives ? `${name} promises epoch ${happening.message.epoch} while its server can receive WAL` : null;
  }
}
