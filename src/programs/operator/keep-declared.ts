import pg from 'pg';
import {
  DECLARED_DATABASES,
  DECLARED_EXTENSIONS,
  DECLARED_ROLES,
  type DeclaredRoleRow,
} from '#adapters/postgres/declared-state.ts';
import { declaredStatements, type ObservedDatabase } from '#core/cluster/declared-statements.ts';
import type { PostgresClusterSpec } from '#domain/config/postgres-cluster.ts';
import { buildAnyScramVerifier, parseScramVerifier } from '#wire/scram-verifier.ts';

export type Declared = Pick<PostgresClusterSpec, 'roles' | 'databases'>;
/** A new connection of the superuser to a database of the primary; ended by whoever asked for it. */
export type Connect = (database: string) => Promise<pg.Client>;

const ADMINISTRATION = 'postgres';

/**
 * Makes roles, databases and extensions as they are declared; gives the statements that it took, without passwords. `passwords`: by role.
 * Errors: PostgreSQL's, with the statement; those before it stand.
 */
export async function keepDeclared(
  declared: Declared,
  passwords: Readonly<Record<string, string>>,
  connect: Connect,
): Promise<readonly string[]> {
  const sessions = new Map<string, pg.Client>();
  const session = async (database: string) => {
    const known = sessions.get(database) ?? (await connect(database));
    sessions.set(database, known);
    return known;
  };
  try {
    const said: string[] = [];
    for (const { database, sql } of await statements(declared, passwords, session)) {
      const quiet = sql.replace(/ PASSWORD '.*'$/s, ' PASSWORD …');
      try {
        await (await session(database)).query(sql);
      } catch (error) {
        if (error instanceof pg.DatabaseError) error.message = `${quiet}: ${error.message}`;
        throw error;
      }
      said.push(quiet);
    }
    return said;
  } finally {
    await Promise.allSettled([...sessions.values()].map((client) => client.end()));
  }
}

async function statements(declared: Declared, passwords: Readonly<Record<string, string>>, session: Connect) {
  const client = await session(ADMINISTRATION);
  const names = (list: readonly { readonly name: string }[]) => [list.map(({ name }) => name)];
  const { rows } = await client.query<DeclaredRoleRow>(DECLARED_ROLES, names(declared.roles));
  const roles = await Promise.all(
    rows.map(async ({ verifier, ...role }) => ({ ...role, passwordIsRight: await isOf(passwords[role.name], verifier) })),
  );
  const found = await client.query<Omit<ObservedDatabase, 'extensions'>>(DECLARED_DATABASES, names(declared.databases));
  const databases: ObservedDatabase[] = [];
  for (const database of found.rows) {
    const wanted = declared.databases.find(({ name }) => name === database.name)?.extensions ?? [];
    databases.push({ ...database, extensions: wanted.length === 0 ? [] : await extensionsIn(await session(database.name)) });
  }
  const verifiers = await Promise.all(
    Object.entries(passwords).map(async ([name, password]) => [name, await buildAnyScramVerifier(password)] as const),
  );
  return declaredStatements(declared, { roles, databases }, Object.fromEntries(verifiers));
}

async function extensionsIn(client: pg.Client): Promise<readonly string[]> {
  return (await client.query<{ name: string }>(DECLARED_EXTENSIONS)).rows.map(({ name }) => name);
}

async function isOf(password: string | undefined, verifier: string | null): Promise<boolean> {
  const parsed = parseScramVerifier(verifier ?? '');
  if (parsed === undefined || password === undefined) return false;
  return (await buildAnyScramVerifier(password, parsed.salt, parsed.iterations)) === verifier;
}
