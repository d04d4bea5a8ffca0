import type { RoleFacts } from '#domain/ports/roles.ts';
import { accessRules, identityMap, isExpressible } from './access-file.ts';
import { isOpen, reload } from './reload.ts';
import type { RoleReader } from './role-reader.ts';
import type { JobContext, ServerContext } from './server-context.ts';

/** A line each in two files, and a comparison for each new connection. */
const MAX_ROLES = 5000;
const MAX_TOLD = 20;

// Whoever has a SCRAM verifier logs in by his password, here and through a proxy: a line for the certificate would shut him out here.
const FROM = `
FROM pg_catalog.pg_authid r
WHERE r.rolcanlogin AND NOT r.rolsuper AND NOT r.rolreplication AND r.rolname <> ALL ($1::text[])
  AND coalesce(r.rolpassword, '') NOT LIKE 'SCRAM-SHA-256$%'`;
const DIGEST = `
SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
  coalesce(pg_catalog.array_agg(r.rolname ORDER BY r.oid)::text, ''), 'UTF8')), 'hex') AS digest ${FROM}`;
const NAMES = `SELECT r.rolname AS name ${FROM} ORDER BY r.oid LIMIT ${MAX_ROLES + 1}`;

/** Keeps the lines of those roles that a proxy may log in as by its certificate. Only on change is anything written. */
export class CertifiedRoles {
  readonly #context: ServerContext;
  readonly #reader: RoleReader;
  #digest = '';
  #names: readonly string[] = [];
  #refused: readonly string[] = [];

  constructor(context: ServerContext, reader: RoleReader) {
    this.#context = context;
    this.#reader = reader;
  }

  /** Names that no line can be written for, and those that are too many. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /** Whether there should be a line for a role; it may be on its way. */
  isWantedFor({ role, canLogin, superuser, replication, verifier }: RoleFacts): boolean {
    if (this.#context.memory.tls.proxyCa === undefined || !canLogin || superuser || replication) return false;
    return isExpressible(role) && verifier?.startsWith('SCRAM-SHA-256$') !== true;
  }

  /** Whether the files are behind what the server knows. Rejects when it does not answer. */
  async isBehind(): Promise<boolean> {
    const { memory } = this.#context;
    this.#names = await this.#wanted();
    return this.#names.length !== memory.byCertificate.size || this.#names.some((name) => !memory.byCertificate.has(name));
  }

  /** Ends when the server has read the files. */
  async apply(context: JobContext): Promise<void> {
    const { files, layout, memory, role } = context;
    const names = this.#names;
    memory.certified = names;
    await files.writeIfChanged(layout.identFile, identityMap(memory));
    await files.writeIfChanged(layout.accessFile, accessRules(memory, await isOpen(context)));
    await reload(context, await role.write({}));
    memory.byCertificate = new Set(names);
  }

  async #wanted(): Promise<readonly string[]> {
    const { memory, log } = this.#context;
    if (memory.tls.proxyCa === undefined) {
      this.#digest = '';
      return [];
    }
    const internal = [memory.secrets.agent.name, memory.secrets.replication.name];
    const [row] = await this.#reader.query<{ digest: string }>(DIGEST, [internal], 'certified digest');
    if (row !== undefined && row.digest === this.#digest) return this.#names;
    const found = await this.#reader.query<{ name: string }>(NAMES, [internal], 'certified names');
    const names = found.map(({ name }) => name);
    const kept = names.slice(0, MAX_ROLES).filter(isExpressible);
    this.#refused = names.filter((name) => !isExpressible(name)).slice(0, MAX_TOLD);
    for (const name of this.#refused)
      log(`no proxy can log in as ${JSON.stringify(name)} by certificate: no file of PostgreSQL can express the name`);
    if (names.length > MAX_ROLES)
      log(`more than ${MAX_ROLES} roles without a SCRAM password: a proxy can log in as the oldest only`);
    this.#digest = row?.digest ?? '';
    return kept;
  }
}
