const EQ = 'OPERATOR(pg_catalog.=)';
const NE = 'OPERATOR(pg_catalog.<>)';
const GE = 'OPERATOR(pg_catalog.>=)';
const FIRST_USER_OID = '16384::pg_catalog.oid';

/** Who owns each expression or query tree that the server keeps, and when it runs. */
const TREES = `
  SELECT CASE WHEN r.ev_type ${EQ} '1'::pg_catalog."char" THEN 'use' ELSE 'write' END AS kind, c.relname AS name,
    pg_catalog.concat(r.ev_action::pg_catalog.text, ' ', r.ev_qual::pg_catalog.text) AS tree, 'rule' AS source, r.oid AS place, NULL::pg_catalog.pg_node_tree AS expression
    FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid ${EQ} r.ev_class WHERE c.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT CASE WHEN a.attgenerated ${EQ} ''::pg_catalog."char" THEN 'write' ELSE 'use' END, c.relname, d.adbin::pg_catalog.text, 'expression', c.oid, d.adbin
    FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_class c ON c.oid ${EQ} d.adrelid
    JOIN pg_catalog.pg_attribute a ON a.attrelid ${EQ} d.adrelid AND a.attnum ${EQ} d.adnum
  UNION ALL SELECT 'write', c.relname, k.conbin::pg_catalog.text, 'expression', c.oid, k.conbin
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid ${EQ} k.conrelid WHERE k.conbin IS NOT NULL AND c.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, k.conbin::pg_catalog.text, 'expression', 0::pg_catalog.oid, k.conbin
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_type t ON t.oid ${EQ} k.contypid WHERE k.conbin IS NOT NULL AND t.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, t.typdefaultbin::pg_catalog.text, 'expression', 0::pg_catalog.oid, t.typdefaultbin
    FROM pg_catalog.pg_type t WHERE t.typdefaultbin IS NOT NULL
  UNION ALL SELECT 'use', c.relname, pg_catalog.concat(p.polqual::pg_catalog.text, ' ', p.polwithcheck::pg_catalog.text), 'expression', c.oid, p.polqual
    FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid ${EQ} p.polrelid
  UNION ALL SELECT 'write', c.relname, pg_catalog.concat(i.indexprs::pg_catalog.text, ' ', i.indpred::pg_catalog.text), 'other', c.oid, NULL
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid ${EQ} i.indrelid WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
  UNION ALL SELECT 'use', c.relname, k.partexprs::pg_catalog.text, 'other', c.oid, NULL
    FROM pg_catalog.pg_partitioned_table k JOIN pg_catalog.pg_class c ON c.oid ${EQ} k.partrelid WHERE k.partexprs IS NOT NULL
  UNION ALL SELECT 'write', c.relname, g.tgqual::pg_catalog.text, 'other', c.oid, NULL
    FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid ${EQ} g.tgrelid WHERE g.tgqual IS NOT NULL
  UNION ALL SELECT 'run', f.proname, pg_catalog.concat(f.proargdefaults::pg_catalog.text, ' ', pg_catalog.to_jsonb(f) OPERATOR(pg_catalog.->>) 'prosqlbody'), 'function', f.oid, NULL
    FROM pg_catalog.pg_proc f WHERE f.oid ${GE} ${FIRST_USER_OID}`;

/** Edges between names that stand in columns of the catalog. */
const LINKS = `
  SELECT 'write' AS kind, c.relname AS name, f.proname AS used FROM pg_catalog.pg_trigger g
    JOIN pg_catalog.pg_class c ON c.oid ${EQ} g.tgrelid JOIN pg_catalog.pg_proc f ON f.oid ${EQ} g.tgfoid WHERE NOT g.tgisinternal
  UNION ALL SELECT 'write', p.relname, c.relname FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class p ON p.oid ${EQ} k.confrelid JOIN pg_catalog.pg_class c ON c.oid ${EQ} k.conrelid WHERE k.contype ${EQ} 'f'::pg_catalog."char"
  UNION ALL SELECT 'write', p.relname, c.relname FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class p ON p.oid ${EQ} i.inhparent JOIN pg_catalog.pg_class c ON c.oid ${EQ} i.inhrelid
  UNION ALL SELECT 'write', c.relname, 'nextval' FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid ${EQ} a.attrelid WHERE a.attidentity ${NE} ''::pg_catalog."char"
  UNION ALL SELECT 'use', c.relname, t.typname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid ${EQ} a.attrelid
    JOIN pg_catalog.pg_type t ON t.oid ${EQ} a.atttypid WHERE t.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, b.typname FROM pg_catalog.pg_type t
    JOIN pg_catalog.pg_type b ON b.oid ${EQ} t.typbasetype OR b.oid ${EQ} t.typelem WHERE b.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, f.proname FROM pg_catalog.pg_cast k JOIN pg_catalog.pg_proc f ON f.oid ${EQ} k.castfunc
    JOIN pg_catalog.pg_type t ON t.oid ${EQ} k.casttarget OR (t.oid ${EQ} k.castsource AND t.oid ${GE} ${FIRST_USER_OID}) WHERE k.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', f.proname, t.typname FROM pg_catalog.pg_proc f
    JOIN pg_catalog.pg_type t ON t.oid ${EQ} ANY (f.proargtypes::pg_catalog.oid[]) OR t.oid ${EQ} f.prorettype
    WHERE f.oid ${GE} ${FIRST_USER_OID} AND t.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', o.oprname, f.proname FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_proc f ON f.oid ${EQ} ANY (ARRAY[o.oprcode::pg_catalog.oid, o.oprrest::pg_catalog.oid, o.oprjoin::pg_catalog.oid]) WHERE o.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', o.oprname, x.oprname FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_operator x ON x.oid ${EQ} o.oprcom OR x.oid ${EQ} o.oprnegate WHERE o.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', g.proname, f.proname FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc g ON g.oid ${EQ} a.aggfnoid::pg_catalog.oid
    JOIN pg_catalog.pg_proc f ON f.oid ${EQ} ANY (ARRAY[a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid, a.aggcombinefn::pg_catalog.oid,
      a.aggserialfn::pg_catalog.oid, a.aggdeserialfn::pg_catalog.oid, a.aggmtransfn::pg_catalog.oid, a.aggminvtransfn::pg_catalog.oid, a.aggmfinalfn::pg_catalog.oid])
    WHERE g.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, f.proname FROM pg_catalog.pg_range r JOIN pg_catalog.pg_type t ON t.oid ${EQ} r.rngtypid
    JOIN pg_catalog.pg_proc f ON f.oid ${EQ} r.rngsubdiff::pg_catalog.oid OR f.oid ${EQ} r.rngcanonical::pg_catalog.oid
  UNION ALL SELECT 'use', t.typname, f.proname FROM pg_catalog.pg_amproc m JOIN pg_catalog.pg_proc f ON f.oid ${EQ} m.amproc::pg_catalog.oid
    JOIN pg_catalog.pg_type t ON t.oid ${EQ} m.amproclefttype WHERE f.oid ${GE} ${FIRST_USER_OID} AND t.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', t.typname, o.oprname FROM pg_catalog.pg_amop m JOIN pg_catalog.pg_operator o ON o.oid ${EQ} m.amopopr
    JOIN pg_catalog.pg_type t ON t.oid ${EQ} m.amoplefttype WHERE o.oid ${GE} ${FIRST_USER_OID} AND t.oid ${GE} ${FIRST_USER_OID}
  UNION ALL SELECT 'use', c.relname, f.proname FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid ${EQ} i.indrelid
    JOIN pg_catalog.pg_opclass q ON q.oid ${EQ} ANY (i.indclass::pg_catalog.oid[]) JOIN pg_catalog.pg_amproc m ON m.amprocfamily ${EQ} q.opcfamily
    JOIN pg_catalog.pg_proc f ON f.oid ${EQ} m.amproc::pg_catalog.oid WHERE f.oid ${GE} ${FIRST_USER_OID}`;

/** The text of a tree that calls set_config, for the names of its settings. */
const DEPARSED = `CASE WHEN x.calls THEN CASE
    WHEN t.source ${EQ} 'rule' THEN pg_catalog.pg_get_ruledef(t.place)
    WHEN t.source ${EQ} 'function' THEN pg_catalog.pg_get_functiondef(t.place)
    WHEN t.source ${EQ} 'expression' THEN pg_catalog.pg_get_expr(t.expression, t.place) END END`;

/**
 * What `buildHazards` needs of one database's catalog: columns kind, name, used, language, extension, body, all text. Only what PUBLIC can
 * read, every name qualified, so that no search path bends it. The dependencies of the server's own objects are not in `pg_depend`
 * (they are pinned), so the stored trees are scanned for the oids of functions, operators, relations and types.
 */
export const SESSION_HAZARDS_QUERY = `
WITH trees AS MATERIALIZED (${TREES}),
refs AS MATERIALIZED (SELECT DISTINCT t.kind, t.name, m[1] AS what, m[2]::pg_catalog.oid AS ref FROM trees t,
  pg_catalog.regexp_matches(t.tree, ':(funcid|opfuncid|aggfnoid|winfnoid|opno|relid|resulttype) (\\d+)', 'g') m)
SELECT 'function' AS kind, f.proname::pg_catalog.text AS name, NULL::pg_catalog.text AS used, l.lanname::pg_catalog.text AS language, e.extname::pg_catalog.text AS extension,
  CASE WHEN l.lanname ${EQ} ANY (ARRAY['sql', 'plpgsql', 'plpython3u', 'plperl', 'plperlu', 'pltcl', 'pltclu']::pg_catalog.name[]) THEN f.prosrc END AS body
  FROM pg_catalog.pg_proc f JOIN pg_catalog.pg_language l ON l.oid ${EQ} f.prolang
  LEFT JOIN pg_catalog.pg_depend d ON d.classid ${EQ} 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid AND d.objid ${EQ} f.oid AND d.deptype ${EQ} 'e'::pg_catalog."char"
  LEFT JOIN pg_catalog.pg_extension e ON e.oid ${EQ} d.refobjid
  WHERE f.oid ${GE} ${FIRST_USER_OID} AND f.prokind ${NE} 'a'::pg_catalog."char"
UNION SELECT r.kind, r.name::pg_catalog.text, f.proname::pg_catalog.text, NULL, NULL, NULL FROM refs r JOIN pg_catalog.pg_proc f ON f.oid ${EQ} r.ref
  WHERE r.what ${EQ} ANY (ARRAY['funcid', 'opfuncid', 'aggfnoid', 'winfnoid']) AND (f.oid ${GE} ${FIRST_USER_OID} OR f.provolatile ${NE} 'i'::pg_catalog."char")
UNION SELECT r.kind, r.name::pg_catalog.text, o.oprname::pg_catalog.text, NULL, NULL, NULL FROM refs r JOIN pg_catalog.pg_operator o ON o.oid ${EQ} r.ref
  WHERE r.what ${EQ} 'opno' AND o.oid ${GE} ${FIRST_USER_OID}
UNION SELECT r.kind, r.name::pg_catalog.text, c.relname::pg_catalog.text, NULL, NULL, NULL FROM refs r JOIN pg_catalog.pg_class c ON c.oid ${EQ} r.ref
  WHERE r.what ${EQ} 'relid' AND c.relname ${NE} r.name
UNION SELECT r.kind, r.name::pg_catalog.text, t.typname::pg_catalog.text, NULL, NULL, NULL FROM refs r JOIN pg_catalog.pg_type t ON t.oid ${EQ} r.ref
  WHERE r.what ${EQ} 'resulttype' AND t.oid ${GE} ${FIRST_USER_OID}
UNION SELECT DISTINCT k.kind, k.name::pg_catalog.text, k.used::pg_catalog.text, NULL, NULL, NULL FROM (${LINKS}) k
UNION ALL SELECT 'text', t.name::pg_catalog.text, NULL, NULL, NULL, ${DEPARSED} FROM trees t
  CROSS JOIN LATERAL (SELECT t.tree OPERATOR(pg_catalog.~) pg_catalog.concat(':funcid ', 'pg_catalog.set_config'::pg_catalog.regproc::pg_catalog.oid, ' ') AS calls) x WHERE x.calls
UNION ALL SELECT 'unshared', c.relname::pg_catalog.text, NULL, NULL, NULL, NULL FROM pg_catalog.pg_class c
  WHERE c.relpersistence ${EQ} 'u'::pg_catalog."char" OR c.relkind ${EQ} 'f'::pg_catalog."char"
UNION ALL SELECT 'unshared', t.typname::pg_catalog.text, NULL, NULL, NULL, NULL FROM pg_catalog.pg_type t
  WHERE t.oid ${GE} ${FIRST_USER_OID} AND t.typtype ${EQ} 'b'::pg_catalog."char" AND t.typelem ${EQ} 0::pg_catalog.oid
UNION ALL SELECT 'definitions', e.evtname::pg_catalog.text, f.proname::pg_catalog.text, NULL, NULL, NULL
  FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc f ON f.oid ${EQ} e.evtfoid WHERE e.evtenabled ${NE} 'D'::pg_catalog."char"`;

/** Rows of a catalog by how many and by whom they were made: changes with every row that comes, goes or is replaced. */
function stamp(catalog: string, where = ''): string {
  return `(SELECT pg_catalog.concat(pg_catalog.count(*), '.', pg_catalog.sum(c.xmin::pg_catalog.text::pg_catalog.int8)) FROM pg_catalog.${catalog} c${where})`;
}

/** Leaves out the rows of temporary tables, which come and go with sessions. */
function lasting(relation: string): string {
  return ` WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class k WHERE k.oid ${EQ} c.${relation} AND k.relpersistence ${EQ} 't'::pg_catalog."char")`;
}

/** One text that differs whenever the answer of SESSION_HAZARDS_QUERY may. Scans the small catalogs. */
export const HAZARD_EPOCH_QUERY = `SELECT pg_catalog.concat_ws(' ', ${[
  stamp('pg_class', ` WHERE c.relpersistence ${NE} 't'::pg_catalog."char"`),
  stamp('pg_type', ` WHERE c.typtype ${NE} 'c'::pg_catalog."char" AND c.typcategory ${NE} 'A'::pg_catalog."char"`),
  stamp('pg_rewrite', lasting('ev_class')),
  stamp('pg_trigger', lasting('tgrelid')),
  stamp('pg_attrdef', lasting('adrelid')),
  stamp('pg_constraint', lasting('conrelid')),
  stamp('pg_policy', lasting('polrelid')),
  stamp('pg_index', lasting('indrelid')),
  stamp('pg_inherits', lasting('inhrelid')),
  ...['proc', 'operator', 'cast', 'aggregate', 'event_trigger', 'range', 'amproc', 'amop', 'extension'].map((name) =>
    stamp(`pg_${name}`),
  ),
].join(', ')}) AS epoch`;
