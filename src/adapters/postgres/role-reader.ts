import { performance } from 'node:perf_hooks';
import type { RoleFacts } from '#domain/ports/roles.ts';
import type { ServerContext } from './server-context.ts';
import type { Session } from './session.ts';

const TIMEOUT_MS = 900;
/** Waiting for the one connection. */
const MAX_WAITING = 256;

// The digest names the objects by their numbers too: what was dropped and made again under the same name is another one. The verifier is
// not in it: a hash of it over a network and in memories would be one more thing to guess passwords against.
const TEXT = `
SELECT r.rolname AS role, r.rolcanlogin AS can_login, r.rolsuper AS superuser, r.rolreplication AS replication,
  r.rolpassword AS verifier, r.rolconnlimit AS connection_limit,
  CASE r.rolvaliduntil WHEN 'infinity' THEN NULL WHEN '-infinity' THEN 0
    ELSE pg_catalog.date_part('epoch', r.rolvaliduntil) * 1000 END AS valid_until,
  d.datname AS database, d.datallowconn AND d.datconnlimit <> -2 AS allows_connections, d.datconnlimit AS database_limit,
  pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT') AS may_connect,
  pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
    r.rolconnlimit, r.rolvaliduntil, d.oid, d.datname, d.datallowconn, d.datconnlimit,
    (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(s.setdatabase, s.setrole, s.setconfig) ORDER BY s.setdatabase, s.setrole)
      FROM pg_catalog.pg_db_role_setting s
      WHERE s.setrole IN (0, r.oid) AND s.setdatabase IN (0, coalesce(d.oid, 0))))::text, 'UTF8')), 'hex') AS digest
FROM pg_catalog.pg_authid r LEFT JOIN pg_catalog.pg_database d ON d.datname = $2::text
WHERE r.rolname = $1::text`;

interface Row {
  readonly role: string;
  readonly can_login: boolean;
  readonly superuser: boolean;
  readonly replication: boolean;
  readonly verifier: string | null;
  readonly connection_limit: number;
  readonly valid_until: number | null;
  readonly database: string | null;
  readonly allows_connections: boolean | null;
  readonly database_limit: number | null;
  readonly may_connect: boolean | null;
  readonly digest: string;
}

/** Reads what the server knows of roles, over one connection of its own: primary or standby, whatever the gate. */
export class RoleReader {
  readonly #context: ServerContext;
  readonly #session: Session;
  /** The end of the questions so far. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(context: ServerContext) {
    this.#context = context;
    this.#session = context.openSession({ name: 'matriarch roles' });
  }

  /** Null: no such role, or one of the agents' own. Rejects when the server does not answer within 900 ms, or too many wait. */
  async lookup(role: string, database: string): Promise<RoleFacts | null> {
    const { agent, replication } = this.#context.options.secrets;
    if (role === agent.name || role === replication.name) return null;
    const [row] = await this.query<Row>(TEXT, [role, database], 'role');
    return row === undefined ? null : factsOf(row, this.#context.memory.byCertificate.has(row.role));
  }

  /** One after the other. */
  query<R extends object>(text: string, values: readonly unknown[], prepared: string): Promise<R[]> {
    if (this.#waiting >= MAX_WAITING) return Promise.reject(new Error('too many questions at once'));
    this.#waiting += 1;
    const deadline = performance.now() + TIMEOUT_MS;
    const answer = this.#last.then(() => {
      this.#waiting -= 1;
      const timeoutMs = deadline - performance.now();
      if (timeoutMs <= 0) throw new Error('the server did not answer in time');
      return this.#session.query<R & Record<string, unknown>>(text, values, { timeoutMs, prepared });
    });
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Ends the connection; the next question opens another. */
  drop(): void {
    this.#session.drop();
  }
}

function factsOf(row: Row, byCertificate: boolean): RoleFacts {
  return {
    role: row.role,
    canLogin: row.can_login,
    superuser: row.superuser,
    replication: row.replication,
    verifier: row.verifier,
    validUntilMs: row.valid_until,
    connectionLimit: row.connection_limit,
    database:
      row.database === null
        ? null
        : {
            name: row.database,
            allowsConnections: row.allows_connections === true,
            connectionLimit: row.database_limit ?? -1,
            mayConnect: row.may_connect === true,
          },
    digest: row.digest,
    byCertificate,
  };
}
