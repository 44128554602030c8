-- What belongs to PostgreSQL or to an extension, and has other privileges than it came with.
-- Run on: source, with nothing but pg_catalog in the search_path. PostgreSQL 13 and later.
-- Returns: one JSON array per object: {kind, name, column} as in needs.sql, and its extension.
SELECT json_build_array(json_build_object('kind', o.kind, 'name', o.name, 'column', NULL), e.extname)::text
FROM (
    SELECT 'relation' AS kind, c.oid::regclass::text AS name, c.tableoid, c.oid, c.relacl AS acl FROM pg_catalog.pg_class c
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, p.tableoid, p.oid, p.proacl FROM pg_catalog.pg_proc p
    UNION ALL
    SELECT 'type', t.oid::regtype::text, t.tableoid, t.oid, t.typacl FROM pg_catalog.pg_type t
) o
LEFT JOIN pg_catalog.pg_init_privs i ON i.classoid = o.tableoid AND i.objoid = o.oid AND i.objsubid = 0
LEFT JOIN pg_catalog.pg_depend d
    ON d.classid = o.tableoid AND d.objid = o.oid AND d.deptype = 'e' AND d.refclassid = 'pg_catalog.pg_extension'::regclass
LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
WHERE o.acl IS DISTINCT FROM i.initprivs AND (o.oid < 16384 OR e.oid IS NOT NULL)
ORDER BY o.kind, o.name
