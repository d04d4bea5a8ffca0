import type { RoleFacts } from '#domain/ports/roles.ts';

/**
 * What a server knows of role `$1` and database `$2`; no row: no such role. Everything qualified: what a person has put into other
 * schemas must not be called (CVE-2025-12819). The digest names the objects by their numbers too: what was dropped and made again
 * under the same name is another one. The verifier is not in it: a hash of it in memories and over networks would be one more thing
 * to guess passwords against.
 */
export const ROLE_FACTS = `
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

export interface RoleRow {
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

export function roleFacts(row: RoleRow, byCertificate: boolean): RoleFacts {
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
