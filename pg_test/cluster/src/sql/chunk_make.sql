-- Run on either side. How each chunk is made, besides its name and those of its constraints.
WITH chunk AS (:chunks)
SELECT chunk.hypertable || ' chunk ' || chunk.slices AS key,
       concat_ws(E'\n',
           'owner ' || pg_get_userbyid(c.relowner),
           'schema ' || c.relnamespace::regnamespace,
           'access ' || (SELECT string_agg(acl::text, ' ' ORDER BY acl::text) FROM unnest(c.relacl) acl),
           'tablespace ' || (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
           'persistence ' || c.relpersistence::text,
           'replica identity ' || c.relreplident::text,
           'options ' || array_to_string(c.reloptions, ' '),
           (SELECT string_agg(format('column %I %s %s %s', attname, format_type(atttypid, atttypmod), attstorage,
                                     -- On PostgreSQL 18, TimescaleDB leaves it out on chunks of continuous aggregates.
                                     CASE WHEN attnotnull AND NOT EXISTS (
                                              SELECT FROM pg_inherits
                                              WHERE inhrelid = c.oid AND inhparent::regclass::text LIKE '%materialized_hypertable%')
                                          THEN 'not null' END), E'\n' ORDER BY attname)
            FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
           (SELECT string_agg(format('default %I %s', a.attname, pg_get_expr(d.adbin, d.adrelid)), E'\n' ORDER BY a.attname)
            FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = c.oid),
           -- A primary key's or unique constraint's name is the chunk's own; as an index it is compared below.
           (SELECT string_agg(format('constraint %s %s', CASE WHEN conislocal AND contype = 'c' THEN 'of the slice' END,
                                     pg_get_constraintdef(oid)), E'\n' ORDER BY contype, pg_get_constraintdef(oid))
            FROM pg_constraint WHERE conrelid = c.oid AND contype IN ('c', 'f', 'p', 'u', 'x')),
           (SELECT string_agg(format('index %s %s %s', i.indisunique, i.indisvalid,
                                     regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'USING ')),
                              E'\n' ORDER BY regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', 'USING '))
            FROM pg_index i WHERE i.indrelid = c.oid),
           (SELECT string_agg(format('trigger %s %s', tgname, tgenabled), E'\n' ORDER BY tgname)
            FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgname <> 'ts_cagg_invalidation_trigger')) AS value
FROM chunk JOIN pg_class c ON c.oid = chunk.oid;
