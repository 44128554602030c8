-- Properties that users gave to TimescaleDB's internal tables (chunks, the tables that hold their compressed rows, materialization
-- hypertables) and schemas, and that are not migrated: neither inherited from the hypertable, nor read by inventory/chunks.sql,
-- compressed_chunks.sql and caggs.sql.
-- Run on: source. TimescaleDB 2.11 and later, any edition, after compression_settings.sql or hypertable_compression.sql.
-- Returns: one JSON array per finding, as unsupported.sql.
, internal_schema AS (
    SELECT d.objid AS oid
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'timescaledb'
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_namespace'::regclass
),
hypertable AS (
    SELECT h.id, c.oid, h.associated_schema_name, h.associated_table_prefix, v.oid AS cagg, coalesce(v.oid, c.oid)::regclass::text AS name
    FROM _timescaledb_catalog.hypertable h
    JOIN pg_catalog.pg_namespace n ON n.nspname = h.schema_name
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = h.table_name
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
    LEFT JOIN pg_catalog.pg_namespace vn ON vn.nspname = a.user_view_schema
    LEFT JOIN pg_catalog.pg_class v ON v.relnamespace = vn.oid AND v.relname = a.user_view_name
    WHERE coalesce((to_jsonb(h)->>'compression_state')::int, 0) <> 2
),
-- `root` is the relation that its properties come from. A materialization hypertable has no more than the view whose rows it holds.
relation AS (
    SELECT 'chunks of' AS kind, h.name AS subject, k.oid, h.oid AS root, h.oid AS owner_of_privileges
    FROM chunk k JOIN hypertable h ON h.id = k.hypertable_id
    UNION ALL
    SELECT 'tables for the compressed rows of', h.name, s.compress_relid, NULL, h.oid
    FROM setting s JOIN chunk k ON k.oid = s.relid JOIN hypertable h ON h.id = k.hypertable_id
    WHERE s.compress_relid IS NOT NULL
    UNION ALL
    SELECT 'materialization hypertable of', h.name, h.oid, NULL, h.cagg
    FROM hypertable h WHERE h.cagg IS NOT NULL
),
of AS (
    SELECT r.kind, r.subject, r.root, r.owner_of_privileges, c.*, p.relacl AS root_acl, p.relowner AS root_owner, h.relforcerowsecurity AS root_force_row_security, h.relreplident AS root_identity,
           h.relpersistence AS root_persistence, h.relam AS root_am
    FROM relation r
    JOIN pg_catalog.pg_class c ON c.oid = r.oid AND c.relkind IN ('r', 'p')
    JOIN pg_catalog.pg_class p ON p.oid = r.owner_of_privileges
    LEFT JOIN pg_catalog.pg_class h ON h.oid = r.root
),
finding AS (
    SELECT o.kind, o.subject, x.what, o.oid
    FROM of o
    CROSS JOIN LATERAL (
        SELECT 'privileges' AS what
        WHERE o.relacl IS DISTINCT FROM o.root_acl
        UNION ALL SELECT 'an owner' WHERE o.relowner <> o.root_owner
        UNION ALL SELECT 'row security' WHERE o.relrowsecurity AND o.root IS NULL OR o.relforcerowsecurity AND o.root_force_row_security IS NOT TRUE
        UNION ALL SELECT 'a replica identity'
        WHERE o.relreplident <> coalesce(o.root_identity, 'd') AND (o.kind <> 'materialization hypertable of' OR o.relreplident = 'i')
        UNION ALL SELECT 'a persistence' WHERE o.relpersistence <> o.root_persistence
        -- The table of compressed rows is reported by itself.
        UNION ALL SELECT 'an access method'
        WHERE o.relam <> o.root_am AND (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = o.relam) <> 'hypercore'
    ) x
    UNION ALL
    SELECT o.kind, o.subject, 'an index', o.oid
    FROM of o
    JOIN pg_catalog.pg_index x ON x.indrelid = o.oid
    -- An index that belongs to none of the hypertable's: there is no other with the same columns.
    WHERE o.root IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index r
        WHERE r.indrelid = o.root AND r.indnatts = x.indnatts
          AND (SELECT array_agg(a.attname ORDER BY i.n) FROM unnest(r.indkey) WITH ORDINALITY i(attnum, n)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.root AND a.attnum = i.attnum)
              IS NOT DISTINCT FROM
              (SELECT array_agg(a.attname ORDER BY i.n) FROM unnest(x.indkey) WITH ORDINALITY i(attnum, n)
               LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum = i.attnum))
    UNION ALL
    SELECT o.kind, o.subject, 'an index to cluster on', o.oid
    FROM of o
    JOIN pg_catalog.pg_index x ON x.indrelid = o.oid AND x.indisclustered
    WHERE NOT EXISTS (
        SELECT FROM pg_catalog.pg_index r
        WHERE r.indrelid = o.root AND r.indisunique = x.indisunique
          AND split_part(pg_get_indexdef(r.indexrelid), ' USING ', 2) = split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2))
    UNION ALL
    SELECT o.kind, o.subject, 'a constraint', o.oid
    FROM of o
    JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid
    WHERE k.conislocal AND k.coninhcount = 0
      AND (k.contype = 'c' AND (o.root IS NULL OR NOT k.convalidated)
           -- Not the hypertable's own.
           OR k.contype = 'f' AND k.conparentid = 0 AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint r WHERE r.conrelid = o.root AND r.contype = 'f' AND r.confrelid = k.confrelid)
           OR k.contype IN ('p', 'u', 'x') AND o.root IS NULL)
    UNION ALL
    SELECT o.kind, o.subject, 'a trigger', o.oid
    FROM of o
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    WHERE p.pronamespace NOT IN (SELECT s.oid FROM internal_schema s)
      -- Those of chunks are carried; others come with the aggregate.
      AND (o.kind = 'tables for the compressed rows of' OR o.kind = 'materialization hypertable of' AND t.tgenabled <> 'O')
    UNION ALL
    SELECT o.kind, o.subject, 'a policy', o.oid FROM of o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
    UNION ALL
    SELECT o.kind, o.subject, 'a rule', o.oid FROM of o JOIN pg_catalog.pg_rewrite w ON w.ev_class = o.oid
    UNION ALL
    SELECT o.kind, o.subject, 'extended statistics', o.oid FROM of o JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = o.oid
    UNION ALL
    SELECT o.kind, o.subject, 'a place in a publication', o.oid
    FROM of o
    JOIN pg_catalog.pg_publication_rel p ON p.prrelid = o.oid
    WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.prpubid AND r.prrelid = o.root)
    UNION ALL
    SELECT o.kind, o.subject, 'a security label', o.oid
    FROM of o JOIN pg_catalog.pg_seclabel l ON l.classoid = 'pg_catalog.pg_class'::regclass AND l.objoid = o.oid
    UNION ALL
    SELECT o.kind, o.subject, 'a setting of a column', o.oid
    FROM of o
    JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE o.root IS NULL AND EXISTS (SELECT FROM unnest(a.attoptions) x WHERE x NOT LIKE 'pg\_attver=%')
    UNION ALL
    SELECT o.kind, o.subject, 'privileges on a column', o.oid
    FROM of o
    JOIN pg_catalog.pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE a.attacl IS NOT NULL AND a.attacl::text IS DISTINCT FROM (
        SELECT r.attacl::text FROM pg_catalog.pg_attribute r WHERE r.attrelid = o.owner_of_privileges AND r.attname = a.attname)
    UNION ALL
    SELECT o.kind, o.subject, 'a comment', o.oid
    FROM of o
    JOIN pg_catalog.pg_description d ON d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = o.oid
    WHERE o.kind = 'tables for the compressed rows of'
    UNION ALL
    SELECT o.kind, o.subject, 'a comment on ' || x.part, o.oid
    FROM of o
    CROSS JOIN LATERAL (
        SELECT 'pg_catalog.pg_class'::regclass AS class, i.indexrelid AS oid, 'an index' AS part
        FROM pg_catalog.pg_index i WHERE i.indrelid = o.oid AND o.kind <> 'materialization hypertable of'
        UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass, k.oid, 'a constraint' FROM pg_catalog.pg_constraint k WHERE k.conrelid = o.oid
        UNION ALL SELECT 'pg_catalog.pg_trigger'::regclass, t.oid, 'a trigger' FROM pg_catalog.pg_trigger t
                  WHERE t.tgrelid = o.oid AND o.kind = 'tables for the compressed rows of'
    ) x
    JOIN pg_catalog.pg_description d ON d.classoid = x.class AND d.objoid = x.oid
    UNION ALL
    -- TimescaleDB will choose such names on the target for other chunks.
    SELECT o.kind, o.subject, 'a name like those that TimescaleDB chooses', o.oid
    FROM of o
    JOIN chunk k ON k.oid = o.oid
    JOIN hypertable h ON h.id = k.hypertable_id
    WHERE o.relname ~ '_\d+_chunk$' AND o.relname <> left(format('%s_%s_chunk', h.associated_table_prefix, k.id), 63)
      AND o.relname !~ '^_(dist_)?hyper_\d+_\d+_chunk$'
)
SELECT json_build_array(f.kind, f.subject, f.detail, CASE WHEN f.oid IS NOT NULL THEN json_build_array(f.class::int8, f.oid::int8) END)::text
FROM (
    SELECT o.kind, o.subject,
           CASE o.kind
               WHEN 'materialization hypertable of' THEN format('It has %s of its own. The one that is made on the target does not.', o.what)
               WHEN 'chunks of' THEN format('%s of them have %s of their own. Those that are made on the target have the hypertable''s.',
                                            count(DISTINCT o.oid), o.what)
               ELSE format('%s of them have %s of their own. Those that are made on the target do not.', count(DISTINCT o.oid), o.what)
           END AS detail, 'pg_catalog.pg_class'::regclass::oid AS class, to_regclass(o.subject)::oid AS oid
    FROM finding o
    GROUP BY o.kind, o.subject, o.what
    UNION ALL
    SELECT 'default privileges in schema', d.defaclnamespace::regnamespace::text, 'They are not migrated: the schema belongs to TimescaleDB.', NULL, NULL
    FROM pg_catalog.pg_default_acl d JOIN internal_schema s ON s.oid = d.defaclnamespace
    UNION ALL
    SELECT 'publication', p.pubname::text, format('It does not contain the tables of schema %s on the target: the schema belongs to TimescaleDB.', s.oid::regnamespace),
           p.tableoid, p.oid
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
