-- What decides whether tables of the source can become hypertables on the target.
-- Run on: source. PostgreSQL 13 and later, with or without TimescaleDB. :tables: is an array of OIDs.
-- Returns: one JSON object per table.
WITH RECURSIVE tree(root, oid) AS (
    SELECT t, t FROM unnest(:tables:::pg_catalog.oid[]) t
    UNION ALL
    SELECT t.root, i.inhrelid
    FROM tree t
    JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid AND c.relispartition
),
part AS (
    SELECT t.root, c.oid, c.relkind, c.relpersistence, c.relrowsecurity
    FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
)
SELECT json_build_object(
    'oid', c.oid::int8,
    'owner', pg_get_userbyid(c.relowner),
    'of_superuser', EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = c.relowner AND r.rolsuper),
    'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = c.reltablespace),
    -- The table itself, or partitions.
    'unlogged', (
        SELECT coalesce(json_agg(json_build_array(p.oid::regclass::text, p.oid = c.oid) ORDER BY p.oid::regclass::text), '[]')
        FROM part p WHERE p.root = c.oid AND p.relpersistence = 'u'),
    'typed', c.reloftype <> 0,
    'row_security', c.relrowsecurity,
    'inherits', c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
    'partition_of', (
        SELECT i.inhparent::regclass::text FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid AND c.relispartition),
    'foreign_partitions', (
        SELECT coalesce(json_agg(p.oid::regclass::text ORDER BY p.oid::regclass::text), '[]')
        FROM part p WHERE p.root = c.oid AND p.relkind = 'f'),
    'of_partitions', (
        SELECT coalesce(json_agg(w.own ORDER BY w.own), '[]')
        FROM part p
        CROSS JOIN LATERAL (
            SELECT format('index %s', x.indexrelid::regclass) FROM pg_catalog.pg_index x
            JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = p.oid AND NOT i.relispartition
            UNION ALL
            SELECT format('constraint %I on %s', k.conname, p.oid::regclass) FROM pg_catalog.pg_constraint k
            WHERE k.conrelid = p.oid AND k.conparentid = 0 AND (k.contype = 'f' OR k.contype = 'c' AND k.coninhcount = 0)
            UNION ALL
            SELECT format('trigger %I on %s', t.tgname, p.oid::regclass) FROM pg_catalog.pg_trigger t
            WHERE t.tgrelid = p.oid AND NOT t.tgisinternal AND t.tgparentid = 0
            UNION ALL
            SELECT format('rule %I on %s', r.rulename, p.oid::regclass) FROM pg_catalog.pg_rewrite r WHERE r.ev_class = p.oid
            UNION ALL
            SELECT format('policy %I on %s', y.polname, p.oid::regclass) FROM pg_catalog.pg_policy y WHERE y.polrelid = p.oid
            UNION ALL
            SELECT format('row-level security of %s', p.oid::regclass) WHERE p.relrowsecurity
            UNION ALL
            SELECT format('sequence %s', d.objid::regclass) FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
            WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refclassid = 'pg_catalog.pg_class'::regclass
              AND d.refobjid = p.oid AND d.refobjsubid <> 0 AND d.deptype IN ('a', 'i')
            UNION ALL
            SELECT format('privileges on %s', p.oid::regclass)
            WHERE (SELECT c.relacl FROM pg_catalog.pg_class c WHERE c.oid = p.oid) IS NOT NULL
            UNION ALL
            SELECT format('comment on %s', p.oid::regclass) WHERE obj_description(p.oid, 'pg_class') IS NOT NULL
            UNION ALL
            SELECT format('statistics %I.%I', n.nspname, s.stxname) FROM pg_catalog.pg_statistic_ext s
            JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
            WHERE s.stxrelid = p.oid
            UNION ALL
            SELECT format('publication %I of %s', b.pubname, p.oid::regclass) FROM pg_catalog.pg_publication_rel r
            JOIN pg_catalog.pg_publication b ON b.oid = r.prpubid
            WHERE r.prrelid = p.oid
        ) w(own)
        WHERE p.root = c.oid AND p.oid <> c.oid),
    'rules', (
        SELECT coalesce(json_agg(r.rulename ORDER BY r.rulename), '[]')
        FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid),
    -- Row triggers with transition tables, and those that fire for DELETE.
    'transition_triggers', (
        SELECT coalesce(json_agg(json_build_array(t.tgname, t.tgtype & 1 <> 0, t.tgtype & 8 <> 0) ORDER BY t.tgname), '[]')
        FROM pg_catalog.pg_trigger t
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND (t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL)),
    'no_inherit_checks', (
        SELECT coalesce(json_agg(k.conname ORDER BY k.conname), '[]')
        FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'n') AND k.connoinherit),
    'referenced_by', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', k.conname,
                   'key', k.conindid::int8,
                   'table', json_build_object('schema', n.nspname, 'name', r.relname)) ORDER BY k.oid), '[]')
        FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_class r ON r.oid = k.conrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
        WHERE k.confrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0),
    -- Those that publish it, but not all tables; whether they name it.
    'publications', coalesce(published.by, '[]'),
    'columns', (
        SELECT coalesce(json_agg(json_build_object(
                   'name', a.attname,
                   'type', format_type(a.atttypid, NULL),
                   'not_null', a.attnotnull,
                   'generated', a.attgenerated <> '',
                   'deterministic', coalesce((SELECT l.collisdeterministic FROM pg_catalog.pg_collation l WHERE l.oid = a.attcollation), true),
                   'hashable', sorts.hash,
                   'sortable', sorts.btree) ORDER BY a.attnum), '[]')
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
        -- Of a domain that is the type beneath it.
        CROSS JOIN LATERAL (
            WITH RECURSIVE base(oid, typtype, typcategory, typbasetype) AS (
                SELECT y.oid, y.typtype, y.typcategory, y.typbasetype
                UNION ALL
                SELECT t.oid, t.typtype, t.typcategory, t.typbasetype
                FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype
                WHERE b.typtype = 'd')
            SELECT coalesce(bool_or(m.amname = 'hash'), false) AS hash, coalesce(bool_or(m.amname = 'btree'), false) AS btree
            FROM base b
            JOIN pg_catalog.pg_opclass o ON o.opcdefault AND (
                o.opcintype = b.oid
                OR b.typtype = 'e' AND o.opcintype = 'pg_catalog.anyenum'::regtype
                OR b.typtype = 'r' AND o.opcintype = 'pg_catalog.anyrange'::regtype
                OR b.typcategory = 'A' AND o.opcintype = 'pg_catalog.anyarray'::regtype
                OR b.typtype <> 'd' AND EXISTS (
                    SELECT FROM pg_catalog.pg_cast g
                    WHERE g.castsource = b.oid AND g.casttarget = o.opcintype AND g.castmethod = 'b' AND g.castcontext = 'i'))
            JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
            WHERE b.typtype <> 'd'
        ) sorts
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    -- All indexes; an expression is a column without a name.
    'indexes', (
        SELECT coalesce(json_agg(json_build_object(
                   'oid', x.indexrelid::int8,
                   'name', i.relname,
                   'constraint', (SELECT k.oid::int8 FROM pg_catalog.pg_constraint k
                                  WHERE k.conindid = x.indexrelid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')),
                   'unique', x.indisunique,
                   'exclusion', x.indisexclusion,
                   'columns', (
                       SELECT json_agg(a.attname ORDER BY u.number)
                       FROM unnest(x.indkey) WITH ORDINALITY u(attnum, number)
                       LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
                       WHERE u.number <= x.indnkeyatts)) ORDER BY i.relname), '[]')
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND x.indislive)
)::text
FROM pg_catalog.pg_class c
-- A publication of a schema lists all of its tables each time.
LEFT JOIN (
    SELECT u.root, json_agg(json_build_array(u.pubname, EXISTS (
        SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = u.oid AND r.prrelid = u.root)) ORDER BY u.pubname)
    FROM (
        -- Of a partitioned table they may publish the partitions.
        SELECT DISTINCT part.root, p.oid, p.pubname
        FROM pg_catalog.pg_publication p
        CROSS JOIN LATERAL pg_catalog.pg_get_publication_tables(p.pubname) t
        JOIN part ON part.oid = t.relid
        WHERE NOT p.puballtables
    ) u
    -- Of one of its partitions alone it is not.
    WHERE EXISTS (
        SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = u.oid AND r.prrelid = u.root)
       OR NOT EXISTS (
        SELECT FROM pg_catalog.pg_publication_rel r JOIN part ON part.oid = r.prrelid WHERE r.prpubid = u.oid AND part.root = u.root)
    GROUP BY u.root
) published(relid, by) ON published.relid = c.oid
WHERE c.oid = ANY (:tables:::pg_catalog.oid[])
ORDER BY c.oid
