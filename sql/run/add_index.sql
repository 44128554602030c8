-- Enters what makes an index of a hypertable on its chunks, in batches of up to 100 chunks and about 64 MB; a larger one is alone.
-- Run on: target. $1 run, $2 phase, $3 how the index is named to users, $4 the OID of the index on the root, $5 how many locks a batch may take:
-- a chunk, the index, and what a constraint reads.
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes)
SELECT $1, $2, format('%s on %s', $3, CASE count(*) WHEN 1 THEN min(b.chunk::pg_catalog.regclass::text) ELSE count(*) || ' chunks' END), 'SQL',
       jsonb_build_object('kind', 'sql', 'chunks', count(*), 'statements', jsonb_build_array(
           format('SELECT timescale_migrate.create_on_chunks(%L, %L)', $4::oid, array_agg(b.chunk)))),
       0, sum(b.bytes)
FROM (
    SELECT c.*, div(sum(w.weight) OVER (ORDER BY c.bytes DESC, c.chunk) - w.weight, 67108864) AS batch
    FROM (
        SELECT i.inhrelid AS chunk, pg_relation_size(i.inhrelid) AS bytes
        FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class r ON r.oid = x.indrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
        JOIN _timescaledb_catalog.hypertable h ON h.schema_name = n.nspname AND h.table_name = r.relname
        JOIN pg_catalog.pg_inherits i ON i.inhparent = r.oid
        WHERE x.indexrelid = $4
          -- Other tables may inherit from a hypertable as well.
          AND i.inhrelid IN (
              SELECT to_regclass(coalesce(to_jsonb(k)->>'relid', format('%I.%I', to_jsonb(k)->>'schema_name', to_jsonb(k)->>'table_name')))
              FROM _timescaledb_catalog.chunk k WHERE NOT coalesce((to_jsonb(k)->>'dropped')::boolean, false))
    ) c,
    LATERAL (SELECT c.bytes + 67108864 * greatest(0.01, 4.0 / $5)) w(weight)
) b
GROUP BY b.batch
