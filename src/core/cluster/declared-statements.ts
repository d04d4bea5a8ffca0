import type { PostgresClusterSpec } from '#domain/config/postgres-cluster.ts';
import type { RoleSpec } from '#domain/config/postgres-cluster-roles.ts';
import { quoteIdentifier, quoteLiteral } from '#sql/quote.ts';

type Attributes = Pick<
  RoleSpec,
  'login' | 'superuser' | 'createdb' | 'createrole' | 'replication' | 'bypassrls' | 'inherit' | 'connectionLimit'
>;

/** A role as it is, by `pg_roles` and `pg_auth_members`. */
export interface ObservedRole extends Attributes {
  readonly name: string;
  readonly memberOf: readonly string[];
  /** Its verifier in `pg_authid` is one of the password that it is to have. */
  readonly passwordIsRight: boolean;
}

/** A database as it is, by `pg_database`, and `pg_extension` inside of it. */
export interface ObservedDatabase {
  readonly name: string;
  readonly owner: string;
  readonly extensions: readonly string[];
}

/** One at a time and outside of a transaction, on the primary. */
export interface Statement {
  readonly database: string;
  readonly sql: string;
}

const FLAGS = ['login', 'superuser', 'createdb', 'createrole', 'replication', 'bypassrls', 'inherit'] as const;
const ADMINISTRATION = 'postgres';

/**
 * What makes roles and databases as they are declared. Roles first, since databases belong to them; those that are to be absent last, when
 * nothing may belong to them any more. What is not declared is left alone. `verifiers`: SCRAM verifiers of the passwords, by role.
 */
export function declaredStatements(
  { roles, databases }: Pick<PostgresClusterSpec, 'roles' | 'databases'>,
  observed: { readonly roles: readonly ObservedRole[]; readonly databases: readonly ObservedDatabase[] },
  verifiers: Readonly<Record<string, string>>,
): readonly Statement[] {
  const found = (name: string) => observed.roles.find((role) => role.name === name);
  const present = roles.filter(({ state }) => state === 'present');
  const absent = roles.filter(({ name, state }) => state === 'absent' && found(name) !== undefined);
  const administration = [
    ...present.flatMap((role) => roleStatements(role, found(role.name), verifiers[role.name])),
    ...present.flatMap((role) => membershipStatements(role, found(role.name)?.memberOf ?? [])),
    ...databases.flatMap((database) =>
      databaseStatements(
        database,
        observed.databases.find(({ name }) => name === database.name),
      ),
    ),
  ].map((sql) => ({ database: ADMINISTRATION, sql }));
  const extensions = databases.flatMap(({ name, extensions }) => {
    const there = observed.databases.find((one) => one.name === name)?.extensions ?? [];
    const missing = extensions.filter((extension) => !there.includes(extension));
    return missing.map((extension) => ({
      database: name,
      sql: `CREATE EXTENSION IF NOT EXISTS ${quoteIdentifier(extension)} CASCADE`,
    }));
  });
  const dropped = absent.map(({ name }) => ({ database: ADMINISTRATION, sql: `DROP ROLE ${quoteIdentifier(name)}` }));
  return [...administration, ...extensions, ...dropped];
}

function roleStatements(role: RoleSpec, found: ObservedRole | undefined, verifier: string | undefined): readonly string[] {
  const differing = FLAGS.filter((flag) => found?.[flag] !== role[flag]).map(
    (flag) => `${role[flag] ? '' : 'NO'}${flag.toUpperCase()}`,
  );
  const options = [
    ...differing,
    ...(found?.connectionLimit === role.connectionLimit ? [] : [`CONNECTION LIMIT ${role.connectionLimit}`]),
    ...(role.login && verifier !== undefined && found?.passwordIsRight !== true ? [`PASSWORD ${quoteLiteral(verifier)}`] : []),
  ];
  if (found !== undefined && options.length === 0) return [];
  return [`${found === undefined ? 'CREATE' : 'ALTER'} ROLE ${quoteIdentifier(role.name)} WITH ${options.join(' ')}`];
}

function membershipStatements({ name, memberOf }: RoleSpec, present: readonly string[]): readonly string[] {
  const member = quoteIdentifier(name);
  return [
    ...memberOf.filter((group) => !present.includes(group)).map((group) => `GRANT ${quoteIdentifier(group)} TO ${member}`),
    ...present.filter((group) => !memberOf.includes(group)).map((group) => `REVOKE ${quoteIdentifier(group)} FROM ${member}`),
  ];
}

function databaseStatements(
  { name, owner }: PostgresClusterSpec['databases'][number],
  found: ObservedDatabase | undefined,
): readonly string[] {
  const [database, role] = [quoteIdentifier(name), quoteIdentifier(owner)];
  if (found === undefined) return [`CREATE DATABASE ${database} OWNER ${role}`];
  return found.owner === owner ? [] : [`ALTER DATABASE ${database} OWNER TO ${role}`];
}
