import type { RoleFacts } from '#domain/ports/roles.ts';
import type { Refusal } from './refusals.ts';

/** Why the role cannot have a server connection at all; null: it can. */
export function whyNone({ role, superuser, connectionLimit, database }: RoleFacts): Refusal | null {
  if (superuser) return null;
  if (connectionLimit === 0) return { code: '53300', message: `too many connections for role "${role}"` };
  if (database?.connectionLimit !== 0) return null;
  return { code: '53300', message: `too many connections for database "${database.name}"` };
}
