-- The objects of TimescaleDB that users' objects need: relations and their columns, functions, types, operators.
-- Run on: source, with nothing but pg_catalog in the search_path. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON object per object: subject; class_oid and oid; relation_oid of the table, view or index that it is part of; object, the
-- same as {class_oid, oid}, where the schema can be made without it; and needs, a list of {kind, name, column}, where name is the text form of
-- the kind's reg type.
--
-- The result also lists TimescaleDB's own objects, such as chunks and views of continuous aggregates; excluded.sql and caggs.sql tell which.
WITH member AS (
    SELECT d.classid, d.objid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'timescaledb'
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
),
internal_schema AS (
    SELECT objid AS oid FROM member WHERE classid = 'pg_catalog.pg_namespace'::regclass
),
thing(classid, oid) AS (
    SELECT classid, objid FROM member
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, t.oid
    FROM member m JOIN pg_catalog.pg_class c ON c.oid = m.objid AND m.classid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_type t ON c.reltype <> 0 AND c.reltype IN (t.oid, t.typelem)
),
need AS (
    SELECT DISTINCT
           CASE WHEN w.rulename = '_RETURN' THEN 'pg_catalog.pg_class'::regclass::oid ELSE d.classid END AS classid,
           CASE WHEN w.rulename = '_RETURN' THEN w.ev_class ELSE d.objid END AS objid,
           CASE t.classid WHEN 'pg_catalog.pg_class'::regclass THEN 'relation' WHEN 'pg_catalog.pg_proc'::regclass THEN 'function'
                          WHEN 'pg_catalog.pg_type'::regclass THEN 'type' WHEN 'pg_catalog.pg_operator'::regclass THEN 'operator' END AS kind,
           CASE t.classid WHEN 'pg_catalog.pg_class'::regclass THEN t.oid::regclass::text
                          WHEN 'pg_catalog.pg_proc'::regclass THEN t.oid::regprocedure::text
                          WHEN 'pg_catalog.pg_type'::regclass THEN t.oid::regtype::text
                          WHEN 'pg_catalog.pg_operator'::regclass THEN t.oid::regoperator::text END AS name,
           a.attname AS "column"
    FROM thing t
    JOIN pg_catalog.pg_depend d ON d.refclassid = t.classid AND d.refobjid = t.oid AND d.deptype IN ('n', 'a')
    LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_catalog.pg_attribute a
        ON d.refclassid = 'pg_catalog.pg_class'::regclass AND a.attrelid = d.refobjid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
)
SELECT json_build_object(
    'subject', n.subject,
    'class_oid', n.classid::int8,
    'oid', n.objid::int8,
    'relation_oid', r.oid::int8,
    'object', CASE WHEN c.relkind IN ('v', 'm', 'i', 'I', 'f')
                     OR n.classid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_trigger'::regclass, 'pg_catalog.pg_rewrite'::regclass,
                                      'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_statistic_ext'::regclass, 'pg_catalog.pg_cast'::regclass,
                                      'pg_catalog.pg_operator'::regclass)
                   THEN json_build_object('class_oid', n.classid::int8, 'oid', n.objid::int8) END,
    'needs', json_agg(json_build_object('kind', n.kind, 'name', n.name, 'column', n.column) ORDER BY n.name, n.column)
)::text
-- Described only once: an object that is dropped meanwhile has no description any more.
FROM (SELECT *, pg_describe_object(classid, objid, 0) AS subject FROM need WHERE kind IS NOT NULL OFFSET 0) n
LEFT JOIN pg_catalog.pg_class c ON n.classid = 'pg_catalog.pg_class'::regclass AND c.oid = n.objid
LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
LEFT JOIN pg_catalog.pg_constraint k ON n.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = n.objid
LEFT JOIN pg_catalog.pg_trigger g ON n.classid = 'pg_catalog.pg_trigger'::regclass AND g.oid = n.objid
LEFT JOIN pg_catalog.pg_attrdef f ON n.classid = 'pg_catalog.pg_attrdef'::regclass AND f.oid = n.objid
LEFT JOIN pg_catalog.pg_rewrite w ON n.classid = 'pg_catalog.pg_rewrite'::regclass AND w.oid = n.objid
LEFT JOIN pg_catalog.pg_policy p ON n.classid = 'pg_catalog.pg_policy'::regclass AND p.oid = n.objid
LEFT JOIN pg_catalog.pg_class r ON r.oid = coalesce(x.indrelid, c.oid, k.conrelid, g.tgrelid, f.adrelid, w.ev_class, p.polrelid)
-- Foreign keys to TimescaleDB's own tables are in unsupported_timescaledb.sql.
WHERE n.subject IS NOT NULL AND k.contype IS DISTINCT FROM 'f'
  -- A chunk and its triggers may be newer than the list of those.
  AND (r.relnamespace IS NULL OR r.relnamespace NOT IN (SELECT s.oid FROM internal_schema s))
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_proc t WHERE t.oid = g.tgfoid AND t.pronamespace IN (SELECT s.oid FROM internal_schema s))
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = n.classid AND d.objid IN (n.objid, coalesce(x.indrelid, k.conrelid)) AND d.deptype = 'e')
GROUP BY n.classid, n.objid, n.subject, c.relkind, r.oid
ORDER BY n.classid, n.objid
