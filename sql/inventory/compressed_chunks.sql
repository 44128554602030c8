-- The compressed chunks, with everything that is needed to make them again from the rows of their compressed relations.
-- Run on: source. TimescaleDB 2.11 and later, after compression_settings.sql or hypertable_compression.sql.
-- Returns: one JSON object per chunk, by hypertable. The functions of functions/compression.sql take it as it is.
--
-- The compressed relation is an ordinary table. A row of it is a batch of rows of the chunk: each column's values in one of type
-- compressed_data, those of segmentby columns as they are, and metadata in columns whose names begin with _ts_meta_.
--
-- compressed_data holds the name of the type and values as that type's send function makes them. So it means the same on every server if the
-- type is portable (portable_types.sql comes before this). It does not if the values hold OIDs, and for types of extensions it depends on
-- the extension's version. Columns of both kinds are in `unportable`.
, compressed AS (
    SELECT k.id, k.hypertable_id, k.status, k.oid, c.relam,
           r.oid AS relation, r.relname AS relation_name, r.relnamespace AS relation_namespace, r.reloptions,
           s.segmentby, s.orderby, s.orderby_desc, s.orderby_nullsfirst, s.index
    FROM chunk k
    JOIN pg_catalog.pg_class c ON c.oid = k.oid
    LEFT JOIN setting s ON s.relid = k.oid
    LEFT JOIN pg_catalog.pg_class r ON r.oid = s.compress_relid
    WHERE k.status & 1 <> 0
)
SELECT json_build_object(
    'oid', k.oid::int8,
    -- 1 compressed, 2 unordered, 4 frozen, 8 partial: has rows of its own as well.
    'status', k.status,
    -- 'hypercore' (2.18 to 2.21) reads its compressed relation by itself.
    'access_method', (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = k.relam),
    'settings', json_build_object(
        'segmentby', k.segmentby,
        'orderby', k.orderby,
        'orderby_desc', k.orderby_desc,
        'orderby_nullsfirst', k.orderby_nullsfirst,
        'index', k.index),
    'sizes', (to_jsonb(z) - 'chunk_id' - 'compressed_chunk_id')::text,
    'rows', z.numrows_pre_compression,
    -- Defaults of columns that were added later: NULL in a batch that is older than the column stands for them.
    'missing', (
        SELECT coalesce(json_agg(json_build_object('column', a.attname, 'value', a.attmissingval::text) ORDER BY a.attnum), '[]'::json)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atthasmissing),
    'unportable', (
        SELECT coalesce(json_agg(json_build_object(
                   'column', a.attname,
                   'type', format_type(a.atttypid, a.atttypmod)
               ) ORDER BY a.attnum), '[]'::json)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND a.attname <> ALL (coalesce(k.segmentby, '{}'))
          AND NOT EXISTS (SELECT FROM portable p WHERE p.type = a.atttypid)),
    -- A type that an algorithm of its own compresses: BOOL since 2.20 (2.19 knows it), UUID since 2.22.
    'has_uuid', EXISTS (
        SELECT FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = k.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'uuid'::regtype
          AND a.attname <> ALL (coalesce(k.segmentby, '{}'))),
    -- The collations by which batches are ordered and metadata were made; collations.sql describes them on either side.
    'collations', (
        SELECT coalesce(json_agg(DISTINCT format('%I.%I', n.nspname, l.collname)), '[]'::json)
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
        JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
        WHERE a.attrelid = k.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attname LIKE '\_ts\_meta\_%'),
    'relation', CASE WHEN k.relation IS NOT NULL THEN json_build_object(
        'oid', k.relation::int8,
        'schema', (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = k.relation_namespace),
        'name', k.relation_name) END,
    -- Properties of the relation that are the same for all chunks with the same compression settings.
    'reloptions', coalesce(k.reloptions, '{}'),
    'columns', col.list,
    'indexes', (
        SELECT coalesce(json_agg(json_build_object(
                   'columns', (
                       SELECT json_agg(a.attname ORDER BY a.attnum)
                       FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.relation AND a.attnum = ANY (x.indkey)),
                   'definition', substr(pg_get_indexdef(i.oid),
                       length(format('CREATE %sINDEX %I ON %s ', CASE WHEN x.indisunique THEN 'UNIQUE ' END, i.relname, k.relation::regclass)) + 1)
               ) ORDER BY i.oid), '[]'::json)
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = k.relation)
)::text
FROM compressed k
LEFT JOIN _timescaledb_catalog.compression_chunk_size z ON z.chunk_id = k.id
CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(json_build_object(
               'name', a.attname,
               'type', format_type(a.atttypid, a.atttypmod),
               'collation', (
                   SELECT format('%I.%I', n.nspname, l.collname)
                   FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
                   WHERE l.oid = a.attcollation AND l.oid <> t.typcollation),
               -- bloom is a metadata column whose contents depend on how TimescaleDB was built; first and last are known since 2.28.
               'kind', CASE WHEN t.typname = 'compressed_data' AND a.attname NOT LIKE '\_ts\_meta\_%' THEN 'data'
                            WHEN t.typname = 'bloom1' OR a.attname LIKE '\_ts\_meta\_v2\_bloom%' THEN 'bloom'
                            WHEN a.attname LIKE '\_ts\_meta\_v2\_first\_%' OR a.attname LIKE '\_ts\_meta\_v2\_last\_%' THEN 'firstlast'
                            WHEN a.attname ~ '^_ts_meta_(count|sequence_num|(v2_)?(min|max)_.+)$' THEN 'meta'
                            WHEN a.attname LIKE '\_ts\_meta\_%' THEN 'unknown'
                            ELSE 'segmentby' END,
               'binary', t.typname = 'compressed_data' OR EXISTS (SELECT FROM portable p WHERE p.type = a.atttypid),
               'storage', CASE WHEN a.attstorage <> t.typstorage THEN
                   CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
               'statistics', nullif(a.attstattarget, -1)
           ) ORDER BY a.attnum), '[]'::json) AS list
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = k.relation AND a.attnum > 0 AND NOT a.attisdropped
) col
ORDER BY k.hypertable_id, k.id
