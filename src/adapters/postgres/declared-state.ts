// What the roles and databases of a server are, to be compared with what a cluster declares. Everything qualified: what a person has put
// into other schemas must not be called.

/** Roles with the ones that they belong to, by name. */
export const DECLARED_ROLES = `
SELECT r.rolname AS name, r.rolcanlogin AS login, r.rolsuper AS superuser, r.rolcreatedb AS createdb, r.rolcreaterole AS createrole,
  r.rolreplication AS replication, r.rolbypassrls AS bypassrls, r.rolinherit AS inherit, r.rolconnlimit AS "connectionLimit",
  r.rolpassword AS verifier,
  ARRAY(SELECT g.rolname::text FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
    WHERE m.member = r.oid ORDER BY 1) AS "memberOf"
FROM pg_catalog.pg_authid r WHERE r.rolname = ANY($1::text[])`;

export interface DeclaredRoleRow {
  readonly name: string;
  readonly login: boolean;
  readonly superuser: boolean;
  readonly createdb: boolean;
  readonly createrole: boolean;
  readonly replication: boolean;
  readonly bypassrls: boolean;
  readonly inherit: boolean;
  readonly connectionLimit: number;
  /** Secret. */
  readonly verifier: string | null;
  readonly memberOf: readonly string[];
}

/** Databases with their owners, by name. */
export const DECLARED_DATABASES = `
SELECT d.datname AS name, r.rolname AS owner
FROM pg_catalog.pg_database d JOIN pg_catalog.pg_roles r ON r.oid = d.datdba WHERE d.datname = ANY($1::text[])`;

/** The extensions of the database in which it is asked. */
export const DECLARED_EXTENSIONS = 'SELECT extname AS name FROM pg_catalog.pg_extension';
