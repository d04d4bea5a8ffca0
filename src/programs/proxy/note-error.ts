import type { ClientSession } from './client-session.ts';
import { NAME_PREFIX } from './prepared-on-server.ts';

/** An error that the client got from its server, and what it says about the two of them. */
export function noteError(session: ClientSession, code: string, fields: ReadonlyMap<string, string> | undefined): void {
  const { errors } = session.home.stats;
  const kind = code.slice(0, 2);
  errors.set(kind, (errors.get(kind) ?? 0) + 1);
  session.traces.failed();
  // What a prepared statement gives has changed: from now on the text is another statement.
  if (code === '0A000' && fields?.get('R') === 'RevalidateCachedQuery') session.preparing.outlived();
  // Somebody's code has deallocated what was prepared for everybody.
  if (code === '26000' && session.server !== null && fields?.get('M')?.includes(NAME_PREFIX) === true)
    session.server.retired = true;
}
