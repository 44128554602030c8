-- What is said of chunks, or of TimescaleDB's own schemas, that is not said of the hypertable, from which chunks have all of it here.
-- Run on: source. TimescaleDB 2.11 and later, any edition.
-- Returns: one JSON array per finding: kind, subject, detail.
WITH internal_schema AS (
    SELECT d.objid AS oid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'timescaledb'
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
),
chunk AS (
    SELECT c.oid, c.relacl, c.relrowsecurity, h.oid AS root, h.relacl AS root_acl, h.relrowsecurity AS root_row_security
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_class h ON h.oid = i.inhparent
    JOIN pg_catalog.pg_namespace n ON n.oid = h.relnamespace
    JOIN _timescaledb_catalog.hypertable x ON (x.schema_name, x.table_name) = (n.nspname, h.relname)
    WHERE c.relkind = 'r'
),
finding AS (
    SELECT root, 'privileges' AS what, count(*) AS chunks
    FROM chunk WHERE relacl IS DISTINCT FROM root_acl GROUP BY root
    UNION ALL
    SELECT root, 'row security', count(*) FROM chunk WHERE relrowsecurity AND NOT root_row_security GROUP BY root
    UNION ALL
    SELECT k.root, 'an index', count(DISTINCT k.oid)
    FROM chunk k
    JOIN pg_catalog.pg_index x ON x.indrelid = k.oid
    -- One that stands for none of the hypertable's: no other of the same columns is there.
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_index r
        WHERE r.indrelid = k.root AND r.indnatts = x.indnatts
          AND (SELECT array_agg(a.attname ORDER BY o.n) FROM unnest(r.indkey) WITH ORDINALITY o(attnum, n)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.root AND a.attnum = o.attnum)
              IS NOT DISTINCT FROM
              (SELECT array_agg(a.attname ORDER BY o.n) FROM unnest(x.indkey) WITH ORDINALITY o(attnum, n)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = k.oid AND a.attnum = o.attnum))
    GROUP BY k.root
    UNION ALL
    SELECT k.root, 'extended statistics', count(DISTINCT k.oid)
    FROM chunk k JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = k.oid GROUP BY k.root
    UNION ALL
    SELECT k.root, 'a place in a publication', count(DISTINCT k.oid)
    FROM chunk k
    JOIN pg_catalog.pg_publication_rel p ON p.prrelid = k.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.prpubid AND r.prrelid = k.root)
    GROUP BY k.root
)
SELECT json_build_array(f.kind, f.subject, f.detail)::text
FROM (
    SELECT 'chunks of' AS kind, root::regclass::text AS subject,
           format('%s of them have %s of their own. Those that are made here have the hypertable''s.', chunks, what) AS detail
    FROM finding
    UNION ALL
    SELECT 'default privileges in schema', d.defaclnamespace::regnamespace::text, 'They are not carried: the schema is TimescaleDB''s.'
    FROM pg_catalog.pg_default_acl d JOIN internal_schema s ON s.oid = d.defaclnamespace
    UNION ALL
    SELECT 'publication', p.pubname::text, format('It does not have the tables of schema %s here: the schema is TimescaleDB''s.', s.oid::regnamespace)
    FROM internal_schema s
    CROSS JOIN pg_catalog.pg_publication p
    -- Publications of schemas exist since PostgreSQL 15.
    WHERE EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = s.oid
                    AND d.classid = to_regclass('pg_catalog.pg_publication_namespace')
                    AND EXISTS (SELECT FROM pg_catalog.pg_depend o
                                WHERE (o.classid, o.objid) = (d.classid, d.objid)
                                  AND o.refclassid = 'pg_catalog.pg_publication'::regclass AND o.refobjid = p.oid))
) f
ORDER BY f.kind, f.subject, f.detail
