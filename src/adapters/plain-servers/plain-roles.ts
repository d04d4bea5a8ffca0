import { fail } from '#domain/errors.ts';
import type { RoleFacts, Roles } from '#domain/ports/roles.ts';
import { ROLE_FACTS, type RoleRow, roleFacts } from '../postgres/role-facts.ts';
import { RoleLookups } from '../proxy-link/role-lookups.ts';
import type { PlainServer } from './plain-server.ts';

const INSUFFICIENT_PRIVILEGE = '42501';

/** Who may log in at servers without agents: what the servers, in the order in which to ask them, say of it themselves. */
export class PlainRoles implements Roles {
  readonly #lookups: RoleLookups;
  readonly lookup: Roles['lookup'];

  constructor(servers: () => readonly PlainServer[]) {
    this.#lookups = new RoleLookups(() =>
      servers().map((server) => ({ lookup: (role, database) => askRole(server, role, database) })),
    );
    this.lookup = this.#lookups.lookup;
  }

  async close(): Promise<void> {}
}

/** Errors: `proxy.rolesUnreadable`, and what becomes of the connection. */
export async function askRole(server: PlainServer, role: string, database: string): Promise<RoleFacts | null> {
  // PostgreSQL refuses such texts as malformed, whatever the question; no role is called so.
  if (role.includes('\0') || database.includes('\0')) return null;
  try {
    const [row] = await server.query<RoleRow & Record<string, unknown>>(ROLE_FACTS, [role, database]);
    return row === undefined ? null : roleFacts(row, false);
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    if (code === INSUFFICIENT_PRIVILEGE) fail('proxy.rolesUnreadable', `${server.address.name}: ${message}`, error);
    throw error;
  }
}
