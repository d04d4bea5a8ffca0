import { EFFECT } from './effects.ts';

/** Extensions whose functions in C leave nothing in the session. Those that run a text given to them are not among them. */
const HARMLESS: ReadonlySet<string> = new Set(
  `adminpack amcheck bloom btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance file_fdw fuzzystrmatch hstore
   insert_username intagg intarray isn lo ltree moddatetime old_snapshot pageinspect pg_buffercache pg_freespacemap pg_prewarm
   pg_stat_statements pg_surgery pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks pgstattuple plpgsql postgis postgres_fdw
   seg sslinfo tcn tsm_system_rows tsm_system_time unaccent uuid-ossp vector`.split(/\s+/),
);

/** Of these, what is no mere reading. */
const WRITERS: ReadonlySet<string> = new Set([
  'adminpack',
  'insert_username',
  'lo',
  'moddatetime',
  'pg_prewarm',
  'pg_surgery',
  'tcn',
]);

/** What a function in C does, by the extension it belongs to. */
export function extensionEffects(extension: string | null, name: string): number {
  if (extension === 'autoinc') return EFFECT.sequences | EFFECT.writes;
  // Its connections stay with the backend; all else needs one, or closes its own.
  if (extension === 'dblink') return name.startsWith('dblink_connect') ? EFFECT.backend | EFFECT.writes : EFFECT.writes;
  // Nobody can look into it, nor see what it keeps in variables of its own.
  if (extension === null) return EFFECT.code | EFFECT.writes | EFFECT.backend;
  if (!HARMLESS.has(extension)) return EFFECT.code | EFFECT.writes;
  return WRITERS.has(extension) ? EFFECT.writes : 0;
}
