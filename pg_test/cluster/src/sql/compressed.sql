-- Run on either side. Compressed chunks: key, the chunk, its columns, the relation with its batches, that one's columns, and how it
-- was compressed. Left out is what a bloom filter holds, which depends on how TimescaleDB was built.
WITH chunk AS (:chunks),
settings AS (:settings)
SELECT chunk.hypertable || ' chunk ' || chunk.slices AS key,
       chunk.oid::regclass AS name,
       (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname)
        FROM pg_attribute WHERE attrelid = chunk.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       chunk.compressed::oid::regclass AS batches,
       (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname)
        FROM pg_attribute
        WHERE attrelid = chunk.compressed AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\_ts\_meta\_v2\_bloom%') AS batch_columns,
       concat_ws(E'\n',
           -- Until 2.18 settings belonged to the relation with the batches.
           (SELECT concat_ws(' ', 'segmentby', s.segmentby, 'orderby', s.orderby, s.orderby_desc, s.orderby_nullsfirst)
            FROM settings s WHERE s.relid IN (chunk.oid, chunk.compressed)),
           -- One field is new in 2.13.
           (SELECT ('{"numrows_frozen_immediately": 0}' || to_jsonb(z) - '{chunk_id,compressed_chunk_id}'::text[])::text
            FROM _timescaledb_catalog.compression_chunk_size z WHERE z.chunk_id = chunk.id),
           'owner ' || pg_get_userbyid(c.relowner),
           'access ' || (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(c.relacl) acl),
           'options ' || array_to_string(c.reloptions, ' '),
           (SELECT string_agg(format('column %I %s %s', attname, format_type(atttypid, atttypmod), attstorage), E'\n' ORDER BY attname)
            FROM pg_attribute
            WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\_ts\_meta\_v2\_bloom%'),
           (SELECT string_agg(regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'index USING '),
                              E'\n' ORDER BY regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'USING '))
            FROM pg_index i WHERE i.indrelid = c.oid)) AS value
FROM chunk JOIN pg_class c ON c.oid = chunk.compressed
ORDER BY 1;
